"""Time that a test pushes ahead, and Discord's ids, which are times."""

from __future__ import annotations

import time
from datetime import UTC, datetime

EPOCH_MS = 1_420_070_400_000
"""2015-01-01, from which Discord counts."""


class Clock:
    """The machine's clock, plus what was skipped."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def now_s(self) -> float:
        return time.time() + self._skipped_s

    def advance(self, seconds: float) -> None:
        self._skipped_s += seconds


class Snowflakes:
    """Ids that never repeat and sort by time: milliseconds since the epoch, shifted by 22 bits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> str:
        self._last = max(self._last + 1, (int(self._clock.now_s() * 1000) - EPOCH_MS) << 22)
        return str(self._last)


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
