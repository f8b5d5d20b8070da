"""The poster: a lane for each kind of target, and the switch that stops them all.

What a process that is gone had begun to send is taken up at the start, as something that may have been published. The
data folder's lock is the lease: no second process posts from the same outbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from bot.notices import Notices
from bot.posting.clock import Clock, WallClock
from bot.posting.dry_sender import DrySender
from bot.posting.lane import LOOKS_AFTER_S, Lane, Rules
from bot.posting.sender import Sender
from bot.settings import Settings
from storage import outbox, sending, switches
from storage.database import Store
from storage.outbox import Decided
from storage.switches import Switch

_STOPS_WITHIN_S = 10.0


def posting_rules(settings: Settings, kind: str) -> Rules:
    """How posts to a kind of target leave, as it is set."""
    late = timedelta(hours=settings.posting.late_hours)
    return Rules(late, settings.x.posts_per_day if kind == "x" else None)


class Posting:
    """Built once; `register` adds a kind of target, before the work begins or later."""

    def __init__(
        self,
        store: Store,
        notices: Notices,
        rules: Callable[[str], Rules] = lambda kind: Rules(),
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._notices = notices
        self._rules = rules
        self._clock = clock or WallClock()
        self._lanes: dict[str, Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._inside: asyncio.Task[object] | None = None
        self.register("dry", DrySender())

    def register(self, kind: str, sender: Sender) -> None:
        """Send what is for `kind`, or `kind:…`, by this sender. One kind has one sender."""
        assert kind not in self._lanes, f"{kind} has a sender already"
        rules = partial(self._rules, kind)
        self._lanes[kind] = Lane(kind, sender, self._store, self._notices, self._clock, rules)
        if self._inside is not None:
            self._start(self._lanes[kind])

    def now(self) -> datetime:
        """By the clock that posting goes by."""
        return self._clock.now()

    @property
    def kinds(self) -> list[str]:
        """The kinds of target that something can be sent to."""
        return sorted(self._lanes)

    def wake(self) -> None:
        """Something was decided, or a switch was turned."""
        for lane in self._lanes.values():
            lane.wake.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Post as long as this lasts; what is being sent at its end is waited for, a while.

        Raises:
            MynahError: where the database can be written no longer; whoever works inside is cancelled then.
        """
        now = self._clock.now()
        await self._store.run(sending.recover, now + timedelta(seconds=LOOKS_AFTER_S[0]), now)
        self._inside = asyncio.current_task()
        for lane in self._lanes.values():
            self._start(lane)
        try:
            yield
        finally:
            self._inside = None
            for lane in self._lanes.values():
                lane.stop()
            # Whatever is still under way after that is taken up as uncertain at the next start.
            _, late = await asyncio.wait(self._tasks, timeout=_STOPS_WITHIN_S)
            for task in late:
                task.cancel()
            for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    def _start(self, lane: Lane) -> None:
        task = asyncio.create_task(lane.run(), name="posting")
        task.add_done_callback(self._has_ended)
        self._tasks.append(task)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        """A lane that ends by itself cannot work: nor can whoever relies on it."""
        if self._inside is not None:
            self._inside.cancel()

    async def decide(self, post: Decided) -> str | None:
        """Write a post down, to be sent when it is due; its id, or None where its key is known."""
        id = await self._store.run(outbox.decide, post, self._clock.now())
        self.wake()
        return id

    async def pause(self, by: str, reason: str = "/admin pause") -> bool:
        """From now on nothing is sent anywhere, also after a restart; False where that was so already."""
        return await self._store.run(switches.set, switches.PAUSE, reason, by, self._clock.now())

    async def resume(self) -> list[Switch]:
        """Turn off the pause and every halt; what they were. What is too late by now is skipped."""
        await self._store.run(sending.skip_late, self._rules("").late, self._clock.now())
        stopped = await self.stops()
        for switch in stopped:
            await self._store.run(switches.clear, switch.name)
        self.wake()
        return stopped

    async def stops(self) -> list[Switch]:
        """What stops posting now: the pause, and halts of targets."""
        stops = await self._store.run(switches.all)
        return [switch for switch in stops if switch.name == switches.PAUSE or switch.name.startswith("halt:")]
