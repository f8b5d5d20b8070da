"""A handle → its posts on X, newest first, page by page, each page paid for once.

X charges for every post that it returns, so no more are asked for than `depth`, nothing is expanded, and a collection
that was broken off goes on after the last page whose checkpoint was kept. `replies` are never excluded at X (that would
cut the timeline to 800 posts); reposts are, unless wanted, since they are not the person's words and cost the same.
Fields are asked for by their older names and read by both. Facts: X's documentation as of 2026-11, and tweepy 4.17.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from bot.sources.base import Source
from bot.sources.records import display_name, storable
from bot.x.answers import TimelineAnswer, UserAnswer, WirePost, read_answer
from bot.x.client import XClient
from bot.x.errors import AccountUnreadable, Problem, Refused, Unreadable
from bot.x.patience import Patience
from storage.posts import Post

SOURCE = "x_api"
DEEPEST = 3_200
"""Posts of a timeline that X gives at most."""

_HANDLE = re.compile(r"[A-Za-z0-9_]{1,15}")
SMALLEST_PAGE = 5
"""X gives no fewer posts at a time, where there are as many."""
_PAGE = 100
_FIELDS = ["created_at", "note_tweet", "referenced_tweets", "in_reply_to_user_id"]
_CUT = re.compile(r"….{0,3}(https://t\.co/\w+)?\s*$")
_CUT_FROM_CHARS = 250
_EVIDENCE = 3
_MOST_EMPTY_PAGES = 20


@dataclass(frozen=True, slots=True)
class Account:
    """An account on X."""

    id: str
    """Stays the same when the handle changes."""
    handle: str
    """As its owner writes it, without @."""
    display_name: str
    post_count: int | None
    """With its reposts, and those beyond `DEEPEST`; None where X does not say."""
    is_protected: bool


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a collection stands. To be kept in the same transaction as the posts of its page."""

    since_id: str | None = None
    """Only what is newer is collected."""
    newest_id: str | None = None
    """Of all that is known: the next refresh begins here."""
    oldest_id: str | None = None
    next_token: str | None = None
    read: int = 0
    """Posts that X returned, and charged for."""
    is_complete: bool = False
    """X has nothing more."""

    def refresh(self) -> Checkpoint:
        """The beginning of a collection of what was posted since."""
        return Checkpoint(since_id=self.newest_id, newest_id=self.newest_id)


@dataclass(frozen=True, slots=True)
class Page:
    posts: tuple[Post, ...]
    """Newest first; then replies from earlier pages again, now with the text that they reply to."""
    checkpoint: Checkpoint


async def find_account(
    client: XClient, handle: str, *, known_id: str | None = None, patience: Patience | None = None
) -> Account:
    """Who a handle is: one user read.

    `known_id` is the account that had the handle before; it is looked up by it then.
    Raises AccountUnreadable where it is missing, suspended or renamed, and XError for all that may go wrong with X.
    """
    handle = handle.strip().removeprefix("@")
    if not _HANDLE.fullmatch(handle):
        raise AccountUnreadable(
            "missing", f"@{handle[:40]} is no handle of X.", "Those have up to 15 letters, digits and underscores."
        )
    who = {"id": known_id} if known_id else {"username": handle}
    fields = ["protected", "public_metrics"]
    try:
        answer = await (patience or Patience()).ask(
            lambda: client.get_user(**who, user_fields=fields, user_auth=client.reads_as_user)
        )
    except Refused as refused:
        if unreadable := _about_account(handle, [refused.problem, *refused.problem.errors]):
            raise unreadable from refused
        raise
    found = await read_answer(UserAnswer, answer)
    user = found.data
    if user is None:
        raise _about_account(handle, found.errors) or Unreadable(f"X says nothing of @{handle}.", "Try again later.")
    if user.username.lower() != handle.lower():
        raise AccountUnreadable(
            "renamed",
            f"@{handle} is called @{user.username} on X now.",
            f"Ask for @{user.username}.",
            user.username,
        )
    return Account(user.id, user.username, display_name(user.name), user.metrics.tweet_count, user.protected)


async def collect(
    client: XClient,
    account: Account,
    at: Checkpoint | None = None,
    *,
    depth: int = DEEPEST,
    with_reposts: bool = False,
    patience: Patience | None = None,
) -> AsyncIterator[Page]:
    """The pages of an account's posts from a checkpoint on. A page may be empty, and its checkpoint still say more.

    `depth` is how many posts may be read in all, those read before the checkpoint among them; less than a page of 5
    is not asked for. Limits of X are waited out as `patience` says. Parents of replies come along where they are the
    account's own; those that were collected before a break are not looked up again.
    Raises AccountUnreadable, Unreadable where a field that was asked for does not come, and XError.
    """
    at = at or Checkpoint()
    threads = _Threads(account.handle)
    empty_pages = 0
    while not at.is_complete and (size := page_size(depth - at.read)):
        timeline = await _timeline(client, account, at, size, with_reposts, patience or Patience())
        _require_fields(timeline.data)
        empty_pages = 0 if timeline.data else empty_pages + 1
        if empty_pages > _MOST_EMPTY_PAGES:
            raise Unreadable("X gives empty pages without end.", "Try again later; what was collected is kept.")
        at = _after(at, timeline)
        yield Page(threads.posts_of(timeline.data), at)


def source_of(account: Account, page: Page) -> Source:
    """A page as the rest of the bot takes posts."""
    return Source(SOURCE, account.handle, account.display_name, iter(page.posts))


@dataclass(slots=True)
class _Threads:
    """Joins replies with what they reply to, as posts come in from newest to oldest."""

    author: str
    _waiting: dict[str, list[Post]] = field(default_factory=dict)
    """Replies by their parent's id."""

    def posts_of(self, wire_posts: Sequence[WirePost]) -> tuple[Post, ...]:
        posts: dict[str, Post] = {}
        for wire in wire_posts:
            post = Post(SOURCE, wire.id, self.author, wire.published_at, storable(wire.whole_text), wire.kind)
            posts[post.id] = post
            for reply in self._waiting.pop(post.id, ()):
                posts[reply.id] = replace(reply, in_reply_to=post.text)
            if wire.parent_id is not None:
                self._waiting.setdefault(wire.parent_id, []).append(post)
        return tuple(posts.values())


async def _timeline(
    client: XClient, account: Account, at: Checkpoint, size: int, with_reposts: bool, patience: Patience
) -> TimelineAnswer:
    params: dict[str, object] = {"max_results": size, "tweet_fields": _FIELDS}
    if not with_reposts:
        params["exclude"] = ["retweets"]
    if at.since_id:
        params["since_id"] = at.since_id
    if at.next_token:
        params["pagination_token"] = at.next_token
    elif at.oldest_id:
        params["until_id"] = at.oldest_id
    try:
        answer = await patience.ask(
            lambda: client.get_users_tweets(account.id, **params, user_auth=client.reads_as_user)
        )
    except Refused as refused:
        if at.next_token and at.oldest_id and "pagination_token" in refused.wrong_parameters:
            # Tokens expire; the oldest id says the same.
            at = replace(at, next_token=None)
            return await _timeline(client, account, at, size, with_reposts, patience)
        if unreadable := _about_account(account.handle, [refused.problem, *refused.problem.errors]):
            raise unreadable from refused
        raise
    timeline = await read_answer(TimelineAnswer, answer)
    if not timeline.data and (unreadable := _about_account(account.handle, timeline.errors)):
        raise unreadable
    return timeline


def page_size(left: int) -> int:
    """So that no rest is too small to be asked for; 0 where nothing more may be read."""
    if left < SMALLEST_PAGE:
        return 0
    return left - SMALLEST_PAGE if _PAGE < left < _PAGE + SMALLEST_PAGE else min(left, _PAGE)


def _after(at: Checkpoint, timeline: TimelineAnswer) -> Checkpoint:
    ids = [int(post.id) for post in timeline.data]
    token = timeline.meta.next_token
    if token is not None and token == at.next_token:
        raise Unreadable("X gives the same page again and again.", "Try again later; what was collected is kept.")
    return replace(
        at,
        newest_id=str(max([*ids, int(at.newest_id or 0)])) if ids else at.newest_id,
        oldest_id=str(min(ids)) if ids else at.oldest_id,
        next_token=token,
        read=at.read + len(ids),
        is_complete=token is None,
    )


def _require_fields(posts: Sequence[WirePost]) -> None:
    """X passes over a field whose name it does not know, and charges all the same: better to stop at the first page."""
    undated = [post for post in posts if post.created_at is None]
    answers = [post for post in posts if post.in_reply_to_user_id or post.text.startswith("RT @")]
    cut = [post for post in posts if len(post.text) >= _CUT_FROM_CHARS and _CUT.search(post.text)]
    for name, is_missing in (
        ("created_at", bool(undated)),
        ("referenced_tweets", len(answers) >= _EVIDENCE and not any(post.references for post in posts)),
        ("note_tweet", len(cut) >= _EVIDENCE and not any(post.note for post in posts)),
    ):
        if is_missing:
            raise Unreadable(
                f"X does not send the field {name}, which was asked for.",
                "Its API may have changed: nothing more is read, so that nothing is paid for in vain.",
            )


def _about_account(handle: str, problems: Sequence[Problem]) -> AccountUnreadable | None:
    """What is the matter with an account, if that is what the problems say."""
    for problem in problems:
        if problem.says("user has been suspended"):
            return AccountUnreadable("suspended", f"X has suspended @{handle}.", "Its posts cannot be had now.")
        if problem.reason == "not-authorized-for-resource":
            return AccountUnreadable(
                "protected",
                f"The posts of @{handle} are protected.",
                "Only its owner can hand them over: as an archive.",
            )
        if problem.reason == "resource-not-found":
            return AccountUnreadable(
                "missing", f"There is no @{handle} on X.", "Check the spelling; the account may be renamed or gone."
            )
    return None
