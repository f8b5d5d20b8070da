"""A clock for the local X, and for whoever asks it, that a test turns."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 1, 10, 0, 0, 123_000, tzinfo=UTC)


@dataclass
class Clock:
    """It stands still until a test sets it, or somebody waits by it."""

    time: datetime = START

    def __call__(self) -> datetime:
        return self.time

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        if not wake.is_set():
            self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)
