"""What people ask for, as every gateway says it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Ask = Callable[[str], Awaitable[bool]]
"""Puts a question to whoever gave the command; False also where nobody can answer."""


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
    source: Literal["file", "x"] = "file"
    """Where its posts are: in the file, or on X."""
    depth: int | None = None
    """Most posts that are read from X."""
    ask: Ask | None = None
    """Puts the price of what is read from X to whoever asks for the clone; without it, nothing is bought."""


@dataclass(frozen=True, slots=True)
class BlendRequest:
    """Speak like several people at once; without weights, like all of them equally."""

    handles: tuple[str, ...]
    weights: tuple[float, ...] = ()
    name: str | None = None
    """The handle of the blend; by default those of its people, joined."""
    recipe: str | None = None
    newest: int | None = None
    """Learn from so many of each person's newest posts only."""
    requested_by: str = "console"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """Learn what is new, from where the current version is; without a file, from the posts that are here."""

    handle: str
    file: Path | None = None
    requested_by: str = "console"
    seed: int | None = None
    ask: Ask | None = None
    """As of a clone: a persona that was collected from X is read on there first."""
    depth: int | None = None
    """Most posts that are read there."""


@dataclass(frozen=True, slots=True)
class SayRequest:
    """Speak like someone."""

    handle: str | None
    prompt: str = ""
    count: int = 1
    seed: int | None = None
    context: tuple[str, ...] = ()
    """What others said before, oldest first; it is heard, and kept nowhere."""
