"""A clock for the local X that a test turns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

START = datetime(2026, 11, 1, 10, 0, 0, 123_000, tzinfo=UTC)


@dataclass
class Clock:
    """It stands still until a test sets it."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now
