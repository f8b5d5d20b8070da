"""A clock that a bot and the world outside it share, and that goes on by itself only while the bot has nothing to do.

It lies in a file that every process maps, so it stands where it stood when one of them is killed.
"""

from __future__ import annotations

import asyncio
import mmap
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.schedules.alarms import EVERYTHING

_FORMAT = struct.Struct("q")  # native, so written at one stroke: no other process reads half of a time
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_NOW, _HORIZON, _HELD = 0, 8, 16
_LOOK_AGAIN_S = 0.001
_LOOK_EVERY = timedelta(hours=2)


class SharedTime:
    """The time, how far it may go on by itself, and how many requests are being answered: a mapped file."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 3 * _FORMAT.size)
        self._lock = threading.Lock()

    @classmethod
    def begin(cls, path: Path, at: datetime) -> SharedTime:
        """A new one, which stands still."""
        path.write_bytes(bytes(3 * _FORMAT.size))
        time = cls(path)
        time.set(at)
        time.let_go_on(at)
        return time

    def now(self) -> datetime:
        return self._read(_NOW)

    def set(self, moment: datetime) -> None:
        self._write(_NOW, moment)

    def advance(self, by: timedelta) -> None:
        self.set(self.now() + by)

    @property
    def horizon(self) -> datetime:
        """Where the world has something to do before the time goes on."""
        return self._read(_HORIZON)

    def let_go_on(self, until: datetime) -> None:
        self._write(_HORIZON, until)

    @property
    def is_held(self) -> bool:
        """Whether X is still at work on a request, also on one whose sender is gone."""
        return bool(_FORMAT.unpack_from(self._memory, _HELD)[0])

    @contextmanager
    def hold(self) -> Iterator[None]:
        """For the process that answers requests."""
        self._hold(1)
        try:
            yield
        finally:
            self._hold(-1)

    def _hold(self, by: int) -> None:
        with self._lock:
            _FORMAT.pack_into(self._memory, _HELD, _FORMAT.unpack_from(self._memory, _HELD)[0] + by)

    def _read(self, offset: int) -> datetime:
        return _EPOCH + timedelta(microseconds=_FORMAT.unpack_from(self._memory, offset)[0])

    def _write(self, offset: int, moment: datetime) -> None:
        _FORMAT.pack_into(self._memory, offset, (moment - _EPOCH) // timedelta(microseconds=1))


@dataclass
class _Sleeper:
    until: datetime
    wake: asyncio.Event
    alarm: asyncio.Event = field(default_factory=asyncio.Event)


class IdleClock:
    """The bot's clock and the alarms of its schedules: it jumps to the next moment once all of the bot waits.

    `lanes` is how many wait by `wait`; `busy` names what else is at work: at first all schedules, and `start`.
    """

    def __init__(
        self, time: SharedTime, lanes: int, schedules: Sequence[str], end: datetime, at_end: Callable[[], None]
    ) -> None:
        self._time = time
        self._lanes = lanes
        self._names = schedules
        self._looks_again = False
        self._end = end
        self._at_end = at_end
        self._sleepers: list[_Sleeper] = []
        self._alarms: dict[str, datetime] = {}
        self._rung: asyncio.Queue[str] = asyncio.Queue()
        self.busy = {*schedules, "start"}

    def now(self) -> datetime:
        return self._time.now()

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """For a lane."""
        sleeper = _Sleeper(self.now() + timedelta(seconds=seconds), wake)
        self._sleepers.append(sleeper)
        self.consider()
        waiting = [asyncio.create_task(event.wait()) for event in (wake, sleeper.alarm)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sleepers.remove(sleeper)
            for task in waiting:
                task.cancel()

    def set(self, name: str, at: datetime) -> None:
        """An alarm; with it, a schedule says that it is done for now."""
        self._alarms[name] = at
        self._done(name)

    def clear(self, name: str) -> None:
        self._alarms.pop(name, None)
        self._done(name)

    @asynccontextmanager
    async def ringing(self) -> AsyncIterator[asyncio.Queue[str]]:
        self._rung.put_nowait(EVERYTHING)
        self._alarms[EVERYTHING] = self.now() + _LOOK_EVERY
        yield self._rung

    def begin(self, name: str) -> None:
        """Something is at work, and the time stands still."""
        self.busy.add(name)

    def _done(self, name: str) -> None:
        self.busy.discard(name)
        self.consider()

    done = _done

    def consider(self) -> None:
        """Jump, if nothing is at work."""
        asyncio.get_running_loop().call_soon(self._jump)

    def _look_again(self) -> None:
        self._looks_again = False
        self._jump()

    def _jump(self) -> None:
        asleep = [sleeper for sleeper in self._sleepers if not sleeper.wake.is_set() and not sleeper.alarm.is_set()]
        if self.busy or len(asleep) < self._lanes:
            return
        moment = min([*(sleeper.until for sleeper in asleep), *self._alarms.values()])
        if self._time.is_held or moment > self._time.horizon:
            if not self._time.is_held:
                self._time.set(max(self._time.horizon, self.now()))
            if not self._looks_again:
                self._looks_again = True
                asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._look_again)
            return
        if moment >= self._end:
            self._time.set(max(self._end, self.now()))
            self._at_end()
            return
        self._time.set(max(moment, self.now()))
        self._wake(asleep, moment)

    def _wake(self, asleep: list[_Sleeper], moment: datetime) -> None:
        for sleeper in asleep:
            if sleeper.until <= moment:
                sleeper.alarm.set()
        for name in [name for name, at in self._alarms.items() if at <= moment]:
            del self._alarms[name]
            if name == EVERYTHING:
                self._alarms[name] = moment + _LOOK_EVERY
            for rung in self._names if name == EVERYTHING else [name]:
                self.begin(rung)
                self._rung.put_nowait(rung)
        self.consider()
