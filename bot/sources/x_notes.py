"""The long posts of an X archive: `tweets.js` holds their beginning, `note-tweet.js` the whole, under another id.

What joins them: made in the same second, give or take two, and the note begins as the post does. The note has no
`&amp;`, no mentions of those replied to, other short links, and no links of pictures.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bot.sources.records import Draft, moment, storable

_TRAILING_LINKS = re.compile(r"(?:\s*https://t\.co/\w+)+\s*$")
_LEADING_MENTIONS = re.compile(r"(?:@\w+\s+)*")
_LINK = re.compile(r"https?://\S+")
_SECONDS_APART = 2
_SURE_CHARS = 30


@dataclass(slots=True)
class _Note:
    text: str
    is_used: bool = False


class LongPosts:
    """Notes by the second in which they were made."""

    def __init__(self, values: Iterable[object]) -> None:
        self._by_second: defaultdict[int, list[_Note]] = defaultdict(list)
        for value in values:
            note = value.get("noteTweet") if isinstance(value, dict) else None
            core = note.get("core") if isinstance(note, dict) else None
            text = core.get("text") if isinstance(core, dict) else None
            made = moment(note.get("createdAt")) if isinstance(note, dict) else None
            if isinstance(text, str) and made:
                self._by_second[int(made.timestamp())].append(_Note(storable(text)))

    def whole_text(self, post: Draft) -> str:
        """The post's whole text, written as `tweets.js` writes texts: mentions first, `&amp;` for &.

        Its own text where it was not cut off, or no note is surely its whole. A note serves one post only.
        """
        beginning = _TRAILING_LINKS.sub("", post.text)
        if not beginning.endswith("…") or post.kind == "repost" or post.created_at is None:
            return post.text
        match = _LEADING_MENTIONS.match(beginning)
        mentions = match[0] if match else ""
        wanted = _comparable(html.unescape(beginning[len(mentions) :]).rstrip("… "))
        second = int(post.created_at.timestamp())
        for made in range(second - _SECONDS_APART, second + _SECONDS_APART + 1):
            for note in self._by_second.get(made, ()):
                if not note.is_used and len(wanted) >= _SURE_CHARS and _comparable(note.text).startswith(wanted):
                    note.is_used = True
                    return mentions + html.escape(note.text, quote=False)
        return post.text


def _comparable(text: str) -> str:
    return " ".join(_LINK.sub("LINK", text).split())
