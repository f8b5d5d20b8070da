"""Whether a post that X shows is one that was sent: texts compared as their author typed them.

X publishes `&`, `<` and `>` escaped, and every link as a t.co address whose origin comes along; a bare domain gets a
scheme. All of that is undone on one side, or left out on both.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from bot.x.answers import WirePost
from bot.x.errors import Problem

FIELDS = ["created_at", "note_tweet", "entities", "referenced_tweets"]
"""To be asked for, by their older names."""

_SCHEME = re.compile(r"https?://", re.IGNORECASE)  # X links what comes after letters other than ours, too
_ADDRESSEES = re.compile(r"^(@\w+\s+)+")
_LAST_SLASH = re.compile(r"/(?=\s|$)")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _Link(_Part):
    url: str
    expanded_url: str = ""


class _Entities(_Part):
    urls: tuple[_Link, ...] = ()


class _Note(_Part):
    text: str
    entities: _Entities = _Entities()


class OwnPost(WirePost):
    """A post on the account's own timeline."""

    entities: _Entities = _Entities()
    long: _Note | None = Field(None, validation_alias="note_tweet")

    @property
    def typed(self) -> str:
        """Its text with the links as they were typed."""
        links = [*self.entities.urls, *(self.long.entities.urls if self.long else ())]
        text = html.unescape(self.long.text if self.long else self.text)
        for link in links:
            text = text.replace(link.url, link.expanded_url or link.url)
        return text


class _Meta(_Part):
    next_token: str | None = None


class OwnTimeline(BaseModel):
    """A page of it, newest first."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    data: tuple[OwnPost, ...] = ()
    meta: _Meta = _Meta()
    errors: tuple[Problem, ...] = ()


def find(text: str, posts: Iterable[OwnPost], taken: frozenset[str], reply_to: str | None = None) -> OwnPost | None:
    """The oldest post with this text that is not taken by another row: an answer to `reply_to`, or to nobody."""
    of_its_kind = [
        post
        for post in posts
        if post.id not in taken
        and (post.kind in ("post", "quote") if reply_to is None else (post.kind, post.parent_id) == ("reply", reply_to))
    ]
    bare = compared if reply_to is None else unaddressed
    same = (post for post in of_its_kind if bare(post.typed) == bare(text))
    return min(same, key=lambda post: int(post.id), default=None)


def newest(posts: Sequence[OwnPost]) -> str | None:
    """The greatest id."""
    return max((post.id for post in posts), key=int, default=None)


def unaddressed(text: str) -> str:
    """What two writings of the same answer share: X puts in front whom it answers."""
    return _ADDRESSEES.sub("", compared(text))


def compared(text: str) -> str:
    """What two writings of the same text share."""
    bare = _LAST_SLASH.sub("", _SCHEME.sub("", unicodedata.normalize("NFC", text)))
    return " ".join(bare.split())
