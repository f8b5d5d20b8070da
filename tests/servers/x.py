"""An X API v2 in memory, as an unmodified `tweepy` speaks to it: reading, posting, limits, prices, and bad days.

What it answers is what `shared/specs/X-API.md` tells of the real one. A test makes accounts and posts through `world`,
gets tokens from `door`, reads what was posted, and asks for trouble with `break_with(Trouble(...))`:

- lost before it was posted: `Trouble("POST", "/2/tweets", cut_after_bytes=10)`
- posted, then no answer: `lose_answer=True`; posted, then another answer: `reply=unavailable(), done_first=True`
- another answer and nothing done: `reply=credits_depleted()`, `reply=web_page()`, `reply=moved(...)`
- slow: `delay_s=2`; never: `stall=True`
"""

from __future__ import annotations

import base64
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.servers import x_shapes as shapes
from tests.servers.faulty_http import Fault, FaultyHttp, Reply, Request
from tests.servers.x_auth import Caller, Doorkeeper, UserKeys
from tests.servers.x_shapes import as_json, invalid, post_objects, user_object, wanted
from tests.servers.x_world import LONGEST, LONGEST_PAID, Account, Kind, World, XPost, links, weighted_length

WINDOW = timedelta(minutes=15)
_BODY_KEYS = {
    "text", "reply", "reply_settings", "media", "poll", "made_with_ai", "paid_partnership", "community_id",
    "edit_options", "quote_tweet_id", "for_super_followers_only", "share_with_followers", "geo", "nullcast",
    "card_uri", "direct_message_deep_link",
}  # fmt: skip


@dataclass
class Trouble(Fault):
    """A fault that knows X: another answer, before or after the request was done, or late."""

    reply: Reply | None = None
    done_first: bool = False
    """The request is done as asked before the answer is exchanged."""
    delay_s: float = 0


@dataclass
class Window:
    """How often somebody asked something, until it starts over."""

    asked: int
    ends_at: datetime


Handler = Callable[[Request, Caller, str], Reply]


class LocalX(FaultyHttp):
    """`clock` tells the time that posts, limits and prices go by."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(self._route)
        self.clock = clock
        self.world = World(clock)
        self.door = Doorkeeper(clock)
        self.limits = {"user": 900, "me": 75, "timeline": 900, "mentions": 300, "post": 100}
        """Requests by kind in `WINDOW`, of each app and each user."""
        self.posts_a_day: int | None = None
        """A second limit on writing, told in headers of its own."""
        self.duplicate_window = timedelta(hours=24)
        self.read_lag = timedelta()
        """How long a new post is missing from timelines."""
        self.short_pages: int | None = None
        """No page has more posts than this, whatever was asked."""
        self.posted: list[XPost] = []
        """What was made through the API, oldest first; a post that was deleted since is still here."""
        self._token_age = 0
        self._windows: dict[tuple[str, str | None], Window] = {}
        self._routes: list[tuple[str, re.Pattern[str], str, Handler]] = [
            (method, re.compile(pattern), kind, handler)
            for method, pattern, kind, handler in (
                ("GET", r"/2/users/by/username/(\w+)", "user", self._user_by_name),
                ("GET", r"/2/users/(me)", "me", self._me),
                ("GET", r"/2/users/(\d+)", "user", self._user_by_id),
                ("GET", r"/2/users/(\d+)/tweets", "timeline", self._timeline),
                ("GET", r"/2/users/(\d+)/mentions", "mentions", self._mentions),
                ("POST", r"/2/(tweets)", "post", self._create),
            )
        ]

    def keys_for(self, account: Account) -> UserKeys:
        return self.door.user_keys(account.id)

    def posted_by(self, account: Account) -> list[str]:
        """The texts that an account posted through the API."""
        return [post.typed for post in self.posted if post.author_id == account.id]

    def delete_by_hand(self, post: XPost) -> None:
        del self.world.posts[post.id]

    def expire_page_tokens(self) -> None:
        """Those that were given out so far."""
        self._token_age += 1

    def start_windows_over(self) -> None:
        self._windows.clear()

    def reply(self, request: Request, fault: Fault | None) -> Reply:
        if not isinstance(fault, Trouble):
            return super().reply(request, fault)
        time.sleep(fault.delay_s)
        if fault.reply is None or fault.done_first:
            done = super().reply(request, fault)
            return fault.reply or done
        self.journal.append(request)
        return fault.reply

    def _route(self, request: Request) -> Reply:
        if (request.method, request.path) == ("GET", "/i/oauth2/authorize"):
            return self.door.authorize(request)
        if (request.method, request.path) == ("POST", "/2/oauth2/token"):
            return self.door.token(request)
        if (request.method, request.path) == ("POST", "/2/oauth2/revoke"):
            return self.door.revoke(request)
        for method, pattern, kind, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if method == request.method and match is not None:
                return self._guarded(request, kind, handler, match[1])
        return Reply(404)

    def _guarded(self, request: Request, kind: str, handler: Handler, argument: str) -> Reply:
        caller = self.door.caller(request, self.url)
        if caller is None:
            return shapes.unauthorized()
        if kind in ("me", "post") and caller.user_id is None:
            return shapes.app_only()
        if ("tweet.write" if kind == "post" else "users.read") not in caller.scopes:
            return shapes.not_permitted()
        headers, is_over = self._count(kind, caller)
        if is_over:
            return shapes.too_many(headers)
        if self.world.credits is not None and self.world.credits <= 0:
            return shapes.credits_depleted()
        reply = handler(request, caller, argument)
        return Reply(reply.status, reply.body, {**reply.headers, **headers})

    def _count(self, kind: str, caller: Caller) -> tuple[Mapping[str, str], bool]:
        """The headers that tell of limits, and whether one of them is passed."""
        limits = [("x-rate-limit", kind, self.limits[kind], WINDOW)]
        if kind == "post" and self.posts_a_day is not None:
            limits.append(("x-user-limit-24hour", "posts a day", self.posts_a_day, timedelta(days=1)))
        headers: dict[str, str] = {}
        is_over = False
        for name, counted, limit, length in limits:
            window = self._windows.get((counted, caller.user_id))
            if window is None or window.ends_at <= self.clock():
                window = self._windows[counted, caller.user_id] = Window(0, self.clock() + length)
            window.asked += 1
            is_over = is_over or window.asked > limit
            headers[f"{name}-limit"] = str(limit)
            headers[f"{name}-remaining"] = str(max(0, limit - window.asked))
            headers[f"{name}-reset"] = str(math.ceil(window.ends_at.timestamp()))
        return headers, is_over

    def _user_by_name(self, request: Request, caller: Caller, name: str) -> Reply:
        if not re.fullmatch(r"\w{1,15}", name):
            return invalid("username", name, f"The `username` query parameter value [{name}] is not valid")
        return self._user(request, self.world.named(name), name, "username")

    def _user_by_id(self, request: Request, caller: Caller, id: str) -> Reply:
        return self._user(request, self.world.accounts.get(id), id, "id")

    def _me(self, request: Request, caller: Caller, me: str) -> Reply:
        return self._user(request, self.world.accounts[caller.user_id or ""], me, "id")

    def _user(self, request: Request, account: Account | None, value: str, parameter: str) -> Reply:
        if account is None or account.gone:
            return shapes.missing(value, parameter=parameter)
        if account.suspended:
            return shapes.suspended(value, parameter=parameter)
        self.world.charge("user_read", account.id)
        count = sum(post.author_id == account.id for post in self.world.posts.values())
        return as_json({"data": user_object(account, request.query, count)})

    def _timeline(self, request: Request, caller: Caller, id: str) -> Reply:
        account = self.world.accounts.get(id)
        if account is None or account.gone:
            return shapes.missing(id, parameter="id")
        if account.suspended:
            return shapes.suspended(id, parameter="id")
        if account.protected and caller.user_id != id:
            return shapes.protected(id)
        excluded = frozenset(wanted(request.query, "exclude"))
        if excluded - {"replies", "retweets"}:
            return invalid("exclude", ",".join(excluded), "exclude must be a list of [replies,retweets]")
        is_owned = caller.user_id == id == self.world.owner_id
        return self._page(request, self.world.timeline(account, excluded), is_owned=is_owned)

    def _mentions(self, request: Request, caller: Caller, id: str) -> Reply:
        account = self.world.accounts.get(id)
        if account is None or account.gone:
            return shapes.missing(id, parameter="id")
        is_owned = caller.user_id == id == self.world.owner_id
        return self._page(request, self.world.mentions(account), is_owned=is_owned)

    def _page(self, request: Request, posts: list[XPost], *, is_owned: bool) -> Reply:
        query = request.query
        size = query.get("max_results", "10")
        if not size.isdecimal() or not 5 <= int(size) <= 100:
            return invalid("max_results", size, f"The `max_results` query parameter value [{size}] is not valid")
        token = query.get("pagination_token")
        before = self._read_token(token) if token else 0
        if before is None:
            return invalid("pagination_token", token or "", "The `pagination_token` query parameter is not valid")
        posts = [post for post in _asked_for(posts, query) if not before or int(post.id) < before]
        page = posts[: min(int(size), self.short_pages or 100)]
        if not page:
            return as_json({"meta": {"result_count": 0}})
        data, includes = post_objects(self.world, page, query)
        meta: dict[str, object] = {"result_count": len(page), "newest_id": page[0].id, "oldest_id": page[-1].id}
        if len(posts) > len(page):
            meta["next_token"] = self._token(page[-1])
        for post in page:
            self.world.charge("owned_read" if is_owned else "post_read", post.id)
        for extra in (*_objects(includes, "tweets"), *_objects(includes, "posts")):
            self.world.charge("post_read", str(extra["id"]))
        for extra in _objects(includes, "users"):
            self.world.charge("user_read", str(extra["id"]))
        return as_json({"data": data, "meta": meta, **({"includes": includes} if includes else {})})

    def _token(self, last: XPost) -> str:
        return base64.b32encode(f"{self._token_age}:{last.id}".encode()).decode().rstrip("=").lower()

    def _read_token(self, token: str) -> int | None:
        """The id that the page goes on from; None for a token that is unknown or expired."""
        if not re.fullmatch(r"[a-z2-7]+", token):
            return None
        try:
            text = base64.b32decode(token.upper() + "=" * (-len(token) % 8)).decode("ascii", "replace")
        except ValueError:
            return None
        age, _, id = text.partition(":")
        return int(id) if age == str(self._token_age) and id.isdecimal() else None

    def _create(self, request: Request, caller: Caller, _: str) -> Reply:
        try:
            body = json.loads(request.body)
        except ValueError:
            body = None
        text = body.get("text") if isinstance(body, dict) else None
        if not isinstance(text, str) or not text.strip() or set(body) - _BODY_KEYS:
            return invalid("text", str(text), "The body must have a text, and no keys but those documented")
        author = self.world.accounts[caller.user_id or ""]
        if author.suspended:
            return shapes.problem(403, "Forbidden", "Your account is suspended and is not permitted to post.")
        if weighted_length(text) > LONGEST and not (author.paying and len(text) <= LONGEST_PAID):
            return shapes.too_long()
        if "quote_tweet_id" in body:
            return shapes.not_summoned()
        parent_id = str((body.get("reply") or {}).get("in_reply_to_tweet_id") or "") or None
        parent = self.world.posts.get(parent_id or "")
        if parent_id and (parent is None or not self.world.has_summoned(parent, author)):
            return shapes.not_summoned()
        if self.world.is_duplicate(author, text, self.duplicate_window):
            return shapes.duplicate()
        return self._made(author, text, parent_id)

    def _made(self, author: Account, text: str, parent_id: str | None) -> Reply:
        post = self.world.publish(author, text, replies_to=parent_id, lag=self.read_lag)
        self.posted.append(post)
        priced: Kind = "summoned_reply" if parent_id else "post_with_link_created" if links(text) else "post_created"
        self.world.charge(priced, post.id)
        data = {"id": post.id, "text": shapes.wire_text(text)[0], "edit_history_tweet_ids": [post.id]}
        return as_json({"data": data}, 201)


def _asked_for(posts: list[XPost], query: Mapping[str, str]) -> list[XPost]:
    """Ids are exclusive at both ends; times are not at their start."""
    since, until = int(query.get("since_id", 0)), int(query.get("until_id", 0))
    start, end = (datetime.fromisoformat(query[name]) if name in query else None for name in ("start_time", "end_time"))
    return [
        post
        for post in posts
        if int(post.id) > since
        and (not until or int(post.id) < until)
        and (start is None or post.created_at >= start)
        and (end is None or post.created_at < end)
    ]


def _objects(includes: shapes.Json, name: str) -> list[shapes.Json]:
    found = includes.get(name)
    return found if isinstance(found, list) else []
