"""Plain text → drafts of posts: one a line, blank lines passed over."""

from __future__ import annotations

from collections.abc import Iterator

from bot.sources.base import Limits
from bot.sources.encoding import lines
from bot.sources.files import PostFile
from bot.sources.records import Draft, draft


def drafts(file: PostFile, limits: Limits) -> Iterator[Draft]:
    """The posts of a text file. Raises SourceError and UnsafeFile as `encoding.lines` does."""
    for line in lines(file, limits):
        if found := draft(line.strip()):
            yield found
