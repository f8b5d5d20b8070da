"""The time that posting goes by."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, in UTC. It may jump: in either direction."""
        ...

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """Until the event is set, or so much time is past."""
        ...


class WallClock:
    """The machine's."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()
