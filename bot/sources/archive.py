"""What an archive is, whichever platform made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.sources.records import Draft


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose archive it is, as far as it says so."""

    handle: str | None = None
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    owner: Owner
    drafts: Iterator[Draft]
    """Lazy: SourceError and UnsafeFile come from here, too."""
