"""Text that a person wrote, made fit for one line of a page or a picture. It stays text: nothing here knows markup."""

from __future__ import annotations

import re
import unicodedata

BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Invisible, and able to turn around the text that comes after a name (Unicode annex 9)."""

_UNSEEN = ("Cc", "Cs")
_WORD = re.compile(r"[^\W\d_]\w*")


def one_line(text: str) -> str:
    """As a reader sees it on one line: white space is one space; controls, and what turns text around, are left out."""
    spaced = " ".join(text.split())
    seen = (c for c in spaced if c not in BIDI_CONTROLS and unicodedata.category(c) not in _UNSEEN)
    return " ".join("".join(seen).split())


def shorten(text: str, limit: int) -> str:
    """Without its last words, and with an ellipsis, until it has no more than `limit` characters."""
    line = one_line(text)
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    words, _, _ = cut.rpartition(" ")
    return (words.rstrip(" ,;:-–—") if len(words) > limit // 2 else cut.rstrip()) + "…"


def right_to_left(text: str) -> bool:
    """Whether its first letter with a direction is of a script written from right to left (Unicode annex 9, P2-P3)."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((direction for direction in directions if direction in ("L", "R", "AL")), "L") != "L"


def initials(name: str, handle: str) -> str:
    """Of a name's first two words, or of one where its script knows no capitals; of the handle where it has no word."""
    letters = [word[0] for word in _WORD.findall(name)] or [one_line(handle).lstrip("@_")[:1] or "?"]
    capitals = [letter for letter in letters[:2] if letter.lower() != letter.upper()]
    return "".join(capitals).upper() or letters[0]
