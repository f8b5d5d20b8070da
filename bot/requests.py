"""What people ask for, as every gateway says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """Learn a voice. Without a file, the posts that are here already are learned from anew."""

    handle: str | None
    file: Path | None
    recipe: str | None = None
    heldout: bool | None = None
    """Keep posts aside and report quality, whatever the recipe says."""
    newest: int | None = None
    """Learn from so many of the newest posts only."""
    requested_by: str = "console"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class BlendRequest:
    """Speak like several people at once; without weights, like all of them equally."""

    handles: tuple[str, ...]
    weights: tuple[float, ...] = ()
    name: str | None = None
    """The handle of the blend; by default those of its people, joined."""
    recipe: str | None = None
    requested_by: str = "console"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """Learn what is new, from where the current version is; without a file, from the posts that are here."""

    handle: str
    file: Path | None = None
    requested_by: str = "console"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class SayRequest:
    """Speak like someone."""

    handle: str | None
    prompt: str = ""
    count: int = 1
    seed: int | None = None
    context: tuple[str, ...] = ()
    """What others said before, oldest first; it is heard, and kept nowhere."""
