"""What the local X knows: accounts, their posts, and what reading and writing them cost.

Rules, prices and depths as `shared/specs/X-API.md` states them (§2 prices, §3 timelines, §10 weighted length).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal

LONGEST = 280
"""By weight; a paying account's posts may have `LONGEST_PAID` characters."""
LONGEST_PAID = 25_000
TIMELINE_DEPTH = 3_200
SHALLOW_DEPTH = 800
"""Of mentions, and of a timeline without its replies."""

_LINK = re.compile(
    r"https?://(?P<host>[\w-]+(?:\.[\w-]+)+)(?::\d+)?(?:[/?#][^\s<>]*)?"
    r"|(?<![\w@./-])(?P<bare>(?:[a-z0-9-]+\.)+(?:com|org|net|io|dev|co|eu|es|de|uk))\b(?:/[^\s<>]*)?",
    re.IGNORECASE,
)
_LONGEST_LABEL = 63
_MENTION = re.compile(r"(?<![\w@])@(\w{1,15})")
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|[\u00a9\u00ae]\ufe0f"
    "|[\u203c-\u3299\U0001f004-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*[\U000e0020-\U000e007f]*"
    "(?:\u200d[\u2190-\u3299\U0001f004-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*"
)
"""Whole sequences, and other signs of those blocks, which weigh 2 as well."""

Kind = Literal["post_read", "owned_read", "user_read", "post_created", "post_with_link_created", "summoned_reply"]
PRICES: dict[Kind, Decimal] = {
    "post_read": Decimal("0.005"),
    "owned_read": Decimal("0.001"),
    "user_read": Decimal("0.010"),
    "post_created": Decimal("0.015"),
    "post_with_link_created": Decimal("0.200"),
    "summoned_reply": Decimal("0.010"),
}
"""In US dollars."""


@dataclass
class Account:
    id: str
    handle: str
    name: str
    protected: bool = False
    suspended: bool = False
    gone: bool = False
    paying: bool = False
    """May write `LONGEST_PAID` characters."""
    bio: str = ""


@dataclass(frozen=True)
class XPost:
    id: str
    author_id: str
    typed: str
    """As its author wrote it: no t.co, no &amp;."""
    created_at: datetime
    replies_to: str | None = None
    """A post's id, here and below; whether that post is there or not."""
    quotes: str | None = None
    reposts: str | None = None
    in_reply_to_user: str | None = None
    visible_at: datetime | None = None
    """Later than `created_at` where reading lags behind writing."""
    earlier_versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Charge:
    at: datetime
    kind: Kind
    resource_id: str
    dollars: Decimal


@dataclass
class World:
    clock: Callable[[], datetime]
    accounts: dict[str, Account] = field(default_factory=dict)
    """By id; as are the posts."""
    posts: dict[str, XPost] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    credits: Decimal | None = None
    """US dollars left; None is no end of them."""
    owner_id: str | None = None
    """The account that owns the developer app: its own posts are cheaper for it to read."""
    _read: set[tuple[Kind, str, date]] = field(default_factory=set)
    _given: set[str] = field(default_factory=set)
    """Ids: that of a post which was deleted is given to no other."""

    def add_account(self, handle: str, name: str = "", *, paying: bool = False) -> Account:
        account = Account(str(1_000 + len(self.accounts)), handle, name or handle.title(), paying=paying)
        self.accounts[account.id] = account
        return account

    def named(self, handle: str) -> Account | None:
        there = (each for each in self.accounts.values() if each.handle.lower() == handle.lower() and not each.gone)
        return next(there, None)

    def publish(
        self,
        author: Account,
        text: str,
        at: datetime | None = None,
        *,
        replies_to: str | None = None,
        quotes: str | None = None,
        reposts: str | None = None,
        in_reply_to_user: str | None = None,
        lag: timedelta = timedelta(),
    ) -> XPost:
        """A post of an author, now or long ago. Its id says when it was made, as X's do."""
        created_at = at or self.clock()
        parent = self.posts.get(replies_to or "")
        post = XPost(
            self._new_id(created_at), author.id, text, created_at, replies_to, quotes, reposts,
            in_reply_to_user or (parent.author_id if parent else None), created_at + lag,
        )  # fmt: skip
        self.posts[post.id] = post
        return post

    def edit(self, post: XPost, text: str) -> XPost:
        """By hand: the newest version has an id of its own, and stands in the place of the one before."""
        newer = replace(
            post,
            id=self._new_id(self.clock()),
            typed=text,
            created_at=self.clock(),
            visible_at=self.clock(),
            earlier_versions=(*post.earlier_versions, post.id),
        )
        del self.posts[post.id]
        self.posts[newer.id] = newer
        return newer

    def timeline(self, account: Account, exclude: frozenset[str]) -> list[XPost]:
        """Newest first, as deep as X goes."""
        depth = SHALLOW_DEPTH if "replies" in exclude else TIMELINE_DEPTH
        own = self._newest_first(lambda post: post.author_id == account.id)[:depth]
        return [
            post
            for post in own
            if not (post.reposts and "retweets" in exclude) and not (post.replies_to and "replies" in exclude)
        ]

    def mentions(self, account: Account) -> list[XPost]:
        def names(post: XPost) -> bool:
            mentioned = {name.lower() for name in _MENTION.findall(post.typed)}
            return post.author_id != account.id and account.handle.lower() in mentioned

        return self._newest_first(names)[:SHALLOW_DEPTH]

    def thread(self, post: XPost) -> str:
        """The id of the post that began its conversation."""
        while post.replies_to in self.posts:
            post = self.posts[post.replies_to]
        return post.replies_to or post.id

    def has_summoned(self, post: XPost, account: Account) -> bool:
        """Whether a post's author invited an answer: it mentions or quotes the account, or is the account's own."""
        quoted = self.posts.get(post.quotes or "")
        by_mention = account.handle.lower() in {name.lower() for name in _MENTION.findall(post.typed)}
        return by_mention or post.author_id == account.id or (quoted is not None and quoted.author_id == account.id)

    def is_duplicate(self, author: Account, text: str, window: timedelta) -> bool:
        since = self.clock() - window
        return any(
            post.author_id == author.id and post.created_at > since and compared(post.typed) == compared(text)
            for post in self.posts.values()
        )

    def charge(self, kind: Kind, resource_id: str) -> None:
        """What is read again on the same day in UTC is charged once."""
        now = self.clock()
        if kind.endswith("_read"):
            read = (kind, resource_id, now.astimezone(UTC).date())
            if read in self._read:
                return
            self._read.add(read)
        self.charges.append(Charge(now, kind, resource_id, PRICES[kind]))
        if self.credits is not None:
            self.credits -= PRICES[kind]

    def spent(self) -> Decimal:
        return sum((charge.dollars for charge in self.charges), Decimal())

    def _newest_first(self, wanted: Callable[[XPost], bool]) -> list[XPost]:
        now = self.clock()
        seen = (post for post in self.posts.values() if wanted(post) and (post.visible_at or now) <= now)
        return sorted(seen, key=lambda post: int(post.id), reverse=True)

    def _new_id(self, at: datetime) -> str:
        milliseconds = int(at.astimezone(UTC).timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS
        id = max(milliseconds, 1) << 22
        while str(id) in self._given:
            id += 1
        self._given.add(str(id))
        return str(id)


def links(text: str) -> list[re.Match[str]]:
    """What X turns into t.co links: addresses, and bare names of the commonest domains."""
    return [link for link in _LINK.finditer(text) if _is_host(link["host"] or link["bare"])]


def weighted_length(text: str) -> int:
    """By configuration 3 of twitter-text: links count 23, a whole emoji 2, most of the world's other letters 2."""
    text = unicodedata.normalize("NFC", text)
    found = links(text)
    for link in reversed(found):
        text = text[: link.start()] + text[link.end() :]
    rest, emoji = _EMOJI.subn("", text)
    signs = sum(1 if any(first <= ord(sign) <= last for first, last in _LIGHT) else 2 for sign in rest)
    return len(found) * 23 + emoji * 2 + signs


def compared(text: str) -> str:
    """What two texts must share to be duplicates."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _is_host(name: str) -> bool:
    """Whether every part of it is short enough for DNS, in Punycode."""
    in_ascii = (label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in name.split("."))
    return all(len(label) <= _LONGEST_LABEL for label in in_ascii)
