"""What wakes the runner: APScheduler, with an alarm for each schedule's next run, and now and then a look at them all.

Alarms are kept in memory alone: they are made anew from the schedules' rows. A clock that jumps does not move an alarm
that is set; the look finds what became due by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

EVERYTHING = ""
"""The name of the alarm at which every schedule is looked at."""
LOOK_EVERY_S = 20


class Alarms(Protocol):
    """Names that ring at a time; setting one that is set moves it."""

    def set(self, name: str, at: datetime) -> None: ...

    def clear(self, name: str) -> None: ...

    def ringing(self) -> AbstractAsyncContextManager[asyncio.Queue[str]]:
        """The names as they ring, as long as this lasts; `EVERYTHING` at once, and again every while."""
        ...


class SchedulerAlarms:
    """By the machine's clock."""

    def __init__(self) -> None:
        self._rung: asyncio.Queue[str] = asyncio.Queue()
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 100}
        )

    def set(self, name: str, at: datetime) -> None:
        self._scheduler.add_job(self._ring, DateTrigger(at), args=[name], id=name, replace_existing=True)

    def clear(self, name: str) -> None:
        if self._scheduler.get_job(name):
            self._scheduler.remove_job(name)

    @asynccontextmanager
    async def ringing(self) -> AsyncIterator[asyncio.Queue[str]]:
        self._scheduler.add_job(self._ring, IntervalTrigger(seconds=LOOK_EVERY_S), args=[EVERYTHING], id=EVERYTHING)
        await self._ring(EVERYTHING)
        self._scheduler.start()
        try:
            yield self._rung
        finally:
            self._scheduler.shutdown(wait=False)

    async def _ring(self, name: str) -> None:
        self._rung.put_nowait(name)
