"""How long a text is for X, which counts neither bytes nor characters.

The rules are those of twitter-text's configuration v3 (https://docs.x.com/resources/fundamentals/counting-characters):
the text in NFC; a link counts 23 however long it is; an emoji counts 2 however many code points it is made of; a
character of the scripts of Europe and the Near East, or of common punctuation, counts 1; any other counts 2.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import emoji

from bot.guard.links import find_links

MOST = 280
"""The longest post of an account without a subscription."""

_LINK = 23
_EMOJI = 2
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""Code points that count 1, as ranges with both ends."""
_NEWEST_EMOJI = 14.0
"""Emoji of a later version of Unicode's list may be drawn, and counted, as their parts: then so do we."""
_TEXT_STYLE = "\ufe0e"
_TEXT_BY_DEFAULT = ("©", "®")
_NEVER_SENT = re.compile("[\ufffe\uffff\ufeff]")


def weighted_length(text: str) -> int:
    """The length that has to stay at or below `MOST`."""
    text = re.sub(r"\r\n?", "\n", unicodedata.normalize("NFC", text))
    links = {link.start: link.end for link in find_links(text)}
    pictures = {} if text.isascii() else _emoji(text)
    length = at = 0
    while at < len(text):
        if at in links:
            length, at = length + _LINK, links[at]
        elif at in pictures:
            length, at = length + _EMOJI, pictures[at]
        else:
            length, at = length + _weight(text[at]), at + 1
    return length


def can_be_sent(text: str) -> bool:
    """Whether X takes it: not empty, not too long, and none of the code points that stand for no character."""
    return bool(text) and not _NEVER_SENT.search(text) and weighted_length(text) <= MOST


def _emoji(text: str) -> dict[int, int]:
    """Where each emoji begins and ends."""
    return {
        found["match_start"]: found["match_end"]
        for found in emoji.emoji_list(text)
        if _known(found["emoji"]) and text[found["match_end"] : found["match_end"] + 1] != _TEXT_STYLE
    }


@cache
def _known(picture: str) -> bool:
    return picture not in _TEXT_BY_DEFAULT and float(emoji.EMOJI_DATA[picture]["E"]) <= _NEWEST_EMOJI


def _weight(character: str) -> int:
    return 1 if any(first <= ord(character) <= last for first, last in _LIGHT) else 2
