"""Plain text → drafts of posts: one a line, blank lines passed over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

from bot.sources.base import Limits
from bot.sources.encoding import lines
from bot.sources.files import PostFile
from bot.sources.records import Draft, draft

_HEAD_LINES = 500
_FEWEST_LINES = 20
_MOST_FULL = 0.3
"""Of lines that end where the next word did not fit: 0.06 of a person's posts, 0.4 and more of licences and manuals."""


def drafts(file: PostFile, limits: Limits) -> Iterator[Draft]:
    """The posts of a text file. Raises SourceError and UnsafeFile as `encoding.lines` does."""
    for line in lines(file, limits):
        if found := draft(line.strip()):
            yield found


def looks_like_posts(file: PostFile, limits: Limits) -> bool:
    """Whether a text that nobody named has lines enough, and they are not prose that is wrapped at one width.

    Raises SourceError and UnsafeFile as `encoding.lines` does.
    """
    head = [line.strip() for line in islice(lines(file, limits), _HEAD_LINES)]
    said = sorted(len(line) for line in head if line)
    if len(said) < _FEWEST_LINES:
        return False
    width = said[len(said) * 95 // 100]
    followed = [(line, after.split()[0]) for line, after in pairwise(head) if line and after]
    full = sum(len(f"{line} {word}") > width for line, word in followed)
    return full <= _MOST_FULL * len(followed)
