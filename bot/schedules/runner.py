"""Runs schedules: has the text written that is due, and decides on it in the transaction that moves the schedule on.

Where the bot stops between the two, by `kill -9` too, nothing was decided: at the next start the run is still to be
done, or was missed. Nothing is remembered here but how often in a row a run has failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sqlite_utils import Database

from bot.errors import CommandError
from bot.posting.clock import Clock, WallClock
from bot.requests import RefreshRequest
from bot.schedules import plan
from bot.schedules.alarms import EVERYTHING, Alarms, SchedulerAlarms
from bot.schedules.plan import Due, Patience, Waits
from bot.settings import Settings
from storage import personas, schedules
from storage.database import Store
from storage.errors import MynahError, UnderWay
from storage.ids import utc_text
from storage.outbox import Decided
from storage.personas import Persona

log = logging.getLogger(__name__)

ATTEMPTS = 3
TRY_AGAIN_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Written:
    """A post that may be published, the version that wrote it, and whether a person has to approve it first."""

    text: str
    clone_id: str | None
    state: Literal["due", "draft"] = "due"
    expires_at: datetime | None = None
    """When a draft that nobody decides on is given up."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No post that may be published was found."""

    reason: str


class Author(Protocol):
    """Writes a persona's posts, guarded."""

    async def write(self, persona: Persona, prompt: str, target: str, due_at: datetime) -> Written | Refused:
        """Raises MynahError where it cannot now."""
        ...


@dataclass(frozen=True, slots=True)
class _Failed:
    times: int
    """In a row."""
    again_at: datetime


class Runner:
    """Runs every active schedule of the database, as long as `working` lasts.

    `refresh` puts a persona's refresh in line; `decided` is called once there is something new in the outbox.
    """

    def __init__(
        self,
        store: Store,
        author: Author,
        refresh: Callable[[RefreshRequest], Awaitable[object]],
        decided: Callable[[], None] = lambda: None,
        patience: Callable[[], Patience] = lambda: Patience(timedelta(minutes=10), timedelta(days=1)),
        clock: Clock | None = None,
        alarms: Callable[[], Alarms] = SchedulerAlarms,
    ) -> None:
        self._store = store
        self._author = author
        self._refresh = refresh
        self._decided = decided
        self._patience = patience
        self._clock = clock or WallClock()
        self._new_alarms = alarms
        self._alarms: Alarms | None = None
        self._inside: asyncio.Task[object] | None = None
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, _Failed] = {}

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run what is due as long as this lasts; what is being written at its end is left for the next start.

        Raises:
            MynahError: where the database can be written no longer; whoever works inside is cancelled then.
        """
        self._inside = asyncio.current_task()
        listening = self._watched(self._listen())
        try:
            yield
        finally:
            self._inside = None
            tasks = [listening, *self._serving.values()]
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    def changed(self, id: str) -> None:
        """A schedule is new, was changed or was removed."""
        if self._alarms is not None:
            self._wake(id)

    def _watched(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """A task whose failure ends whoever works inside."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None and self._inside is not None:
                self._inside.cancel()

        task = asyncio.create_task(work, name="schedules")
        task.add_done_callback(ended)
        return task

    async def _listen(self) -> None:
        self._alarms = self._new_alarms()
        try:
            async with self._alarms.ringing() as rung:
                while True:
                    name = await rung.get()
                    for id in await self._store.run(schedules.active) if name == EVERYTHING else [name]:
                        self._wake(id)
        finally:
            self._alarms = None

    def _wake(self, id: str) -> None:
        """Look at a schedule. While that goes on, once is enough: it ends when nothing is due."""
        if id not in self._serving or self._serving[id].done():
            self._serving[id] = self._watched(self._serve(id))

    async def _serve(self, id: str) -> None:
        """Do all that is due of a schedule, then set its alarm."""
        while True:
            now = self._clock.now()
            failed = self._failed.get(id)
            if failed and failed.again_at - TRY_AGAIN_AFTER <= now < failed.again_at:
                next = Waits(failed.again_at)
                break
            found = await self._store.run(plan.plan, id, now, self._patience())
            if isinstance(found, Waits):
                next = found
                break
            await self._do(found)
        if self._alarms is not None and next.until is not None:
            self._alarms.set(id, next.until)
        elif self._alarms is not None:
            self._alarms.clear(id)

    async def _do(self, due: Due) -> None:
        """Do one run, or count a failure."""
        id = due.schedule.id
        persona = await self._store.run(_persona, due.schedule.persona_id)
        if persona is None:
            return
        try:
            if due.schedule.action == "refresh":
                await self._refresh(RefreshRequest(persona.handle, None, f"schedule {due.schedule.number}"))
                written: Written | Refused | None = None
            else:
                written = await self._author.write(persona, due.schedule.prompt, due.schedule.target, due.run.due)
        except MynahError as error:
            await self._count_failure(due, error)
            return
        self._failed.pop(id, None)
        now = self._clock.now()
        if written is None:
            await self._store.run(plan.settle, due, "refreshed", "", now)
        elif isinstance(written, Refused):
            await self._store.run(plan.settle, due, "skipped", written.reason, now)
        elif await self._store.run(plan.decide, due, _decided(due, written), now):
            self._decided()

    async def _count_failure(self, due: Due, error: MynahError) -> None:
        id, now = due.schedule.id, self._clock.now()
        times = self._failed[id].times + 1 if id in self._failed else 1
        # Whom nobody can hear, or what nobody understands, is not there a minute later either.
        if times < ATTEMPTS and not isinstance(error, CommandError | UnderWay):
            self._failed[id] = _Failed(times, now + TRY_AGAIN_AFTER)
            return
        self._failed.pop(id, None)
        log.warning("Schedule %s skips a run (%s).", due.schedule.number, type(error).__name__)
        await self._store.run(plan.settle, due, "skipped", str(error), now)


def patience(settings: Settings) -> Patience:
    """How late a run may be, as the settings say now."""
    schedule = settings.schedule
    return Patience(timedelta(minutes=schedule.grace_minutes), timedelta(hours=schedule.make_up_hours))


def _persona(db: Database, id: str) -> Persona | None:
    return next((persona for persona in personas.all(db) if persona.id == id), None)


def _decided(due: Due, written: Written) -> Decided:
    return Decided(
        persona_id=due.schedule.persona_id,
        clone_id=written.clone_id,
        schedule_id=due.schedule.id,
        target=due.schedule.target,
        text=written.text,
        due_at=due.run.due,
        key=f"{due.schedule.id}@{utc_text(due.run.due)}",
        state=written.state,
        prompt=due.schedule.prompt,
        expires_at=written.expires_at,
    )
