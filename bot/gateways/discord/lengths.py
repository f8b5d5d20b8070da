"""Texts as long as Discord takes them, cut between what a reader sees as characters.

Discord says 2,000 characters and not of which kind; the strictest reading is UTF-16 code units, so those are counted.
Characters as readers see them are the extended grapheme clusters of Unicode annex 29, which `regex` knows as \\X.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import regex

MESSAGE = 2_000
ELLIPSIS = "…"


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """The text, or its beginning with an ellipsis, in no more than `limit` units."""
    if units(text) <= limit:
        return text
    return next(_pieces(text, limit - len(ELLIPSIS)), "") + ELLIPSIS


def split(text: str, limit: int, most: int) -> list[str]:
    """The text in up to `most` pieces, between words where there are any; what is left over is cut off."""
    pieces: list[str] = []
    for piece in _pieces(text, limit):
        if len(pieces) == most:
            pieces[-1] = cut(pieces[-1] + " " + piece, limit)
            break
        pieces.append(piece)
    return pieces


def listed(lines: Sequence[str]) -> str:
    """As many whole lines as one message takes, and how many more there are; empty where there are none."""
    for shown in range(len(lines), 0, -1):
        more = [f"{ELLIPSIS} and {len(lines) - shown} more"] if shown < len(lines) else []
        text = "\n".join([*lines[:shown], *more])
        if units(text) <= MESSAGE:
            return text
    return cut("\n".join(lines), MESSAGE)


def _pieces(text: str, limit: int) -> Iterator[str]:
    """Never empty, and never more than `limit` units, which is to be ten at least."""
    rest = text.strip()
    while units(rest) > limit:
        end, used = 0, 0
        for found in regex.finditer(r"\X", rest):
            used += units(found[0])
            if used > limit:
                break
            end = found.end()
        head = rest[:end] or _broken(rest, limit)
        if rest[len(head) : len(head) + 1].strip():  # in the middle of a word: back to the space before it
            words, space, _ = head.rpartition(" ")
            if space and len(words) > len(head) // 2:
                head = words
        rest = rest[len(head) :].lstrip()
        if head.strip():
            yield head.strip()
    if rest:
        yield rest


def _broken(text: str, limit: int) -> str:
    """A character that is itself too long, such as a letter with a thousand accents."""
    end, used = 1, units(text[0])
    while end < len(text) and used + units(text[end]) <= limit:
        used += units(text[end])
        end += 1
    return text[:end]
