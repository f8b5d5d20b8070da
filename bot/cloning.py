"""A clone's life: queued → collecting → training → ready | failed | cancelled.

One clone is made at a time, in fair order; one that has to wait for a service goes back in line meanwhile. Every step
reads the clone's row, works, and writes the next state in one transaction, so a `kill -9` at any moment loses nothing:
at the next start what was under way goes back in line, and the trainer goes on from its checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol, Unpack

from sqlite_utils import Database

from bot import clone_files, clone_job, clone_records
from bot.clone_records import Cancelled, Made, Order
from bot.data_folder import DataFolder
from bot.errors import CloneFailed, place_of
from bot.launchers import local
from bot.settings import Settings
from bot.sources import Limits
from storage import clones, personas, posts
from storage.clones import Clone
from storage.database import Store
from storage.errors import MynahError
from trainer.protocol import (
    AnyEvent,
    Compared,
    Failed,
    FailureKind,
    FinetuneJob,
    Finished,
    Judged,
    Saved,
    Started,
)

log = logging.getLogger(__name__)

_LONGEST_SLEEP_S = 60.0
"""A clock that jumps is noticed after this."""


@dataclass(frozen=True, slots=True)
class Update:
    """Something happened to a clone: it is in this state now, and the trainer may have said something."""

    clone: Clone
    handle: str
    event: AnyEvent | None = None
    imported: posts.Added | None = None
    note: str = ""
    """Where a collection stands, or why it waits: a sentence."""


class Collector(Protocol):
    """Brings a clone's posts in from a service."""

    async def collect(self, clone: Clone, tell: Callable[[str], Awaitable[None]]) -> posts.Added | None:
        """What came in, or None where the clone wants nothing from there; may be cancelled, and goes on then.

        Raises ComeBack where the service is not to be asked before a time.
        """
        ...


class ComeBack(Exception):
    """A collection cannot go on before a time, and loses nothing by waiting."""

    def __init__(self, until: datetime, reason: str) -> None:
        super().__init__(reason)
        self.until = until


class TrainingFailed(CloneFailed):
    """The trainer said why it failed."""

    def __init__(self, kind: FailureKind, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.kind = kind


class Cloning:
    """The queue and the one clone that is being made."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._folder = DataFolder(settings.data_dir)
        self._store = store
        self._wake = asyncio.Event()
        self._listeners: set[asyncio.Queue[Update]] = set()
        self._trainer: local.Trainer | None = None
        self._collector: Collector | None = None
        self._collecting: asyncio.Task[posts.Added | None] | None = None
        self._current: str | None = None
        self._cancel = threading.Event()  # read by the storage thread while it imports
        self._cancelled = False
        self._ended = asyncio.Event()
        self._not_before: dict[str, datetime] = {}
        """Clones in line that wait for a service. Only in memory: after a restart the service says so again."""
        self._stopping = False

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Make clones as long as this lasts; then the trainer writes its checkpoint, for the next start.

        Raises:
            MynahError: where the database can be written no longer; whoever works inside is cancelled then.
        """
        await self._clear_away()
        making, inside = asyncio.create_task(self._run(), name="cloning"), asyncio.current_task()
        making.add_done_callback(lambda _: None if self._stopping or inside is None else inside.cancel())
        try:
            yield
        finally:
            self._stopping = True
            self._cancel.set()
            self._wake.set()
            if self._collecting is not None:
                self._collecting.cancel()
            if self._trainer is not None:
                await self._trainer.stop()
            await making

    async def _clear_away(self) -> None:
        """What a crash left behind, before anybody hands over something new."""
        under_way = await self._store.run(clones.active)
        await asyncio.to_thread(clone_files.sweep, self._folder, under_way)

    async def _run(self) -> None:
        """Make the clones in line, one after another, until it stops."""
        for clone in await self._store.run(clones.active):
            if clone.state != "queued":
                await self._move(clone, "queued", "taken up again after a restart")
        while not self._stopping:
            self._wake.clear()
            line, now = await self._store.run(clones.in_line), datetime.now(UTC)
            self._not_before = {clone.id: self._not_before[clone.id] for clone in line if clone.id in self._not_before}
            first = next((clone for clone in line if self._not_before.get(clone.id, now) <= now), None)
            if first is None:
                await self._sleep(now)
            elif not self._stopping:
                await self._make(first)

    async def _sleep(self, now: datetime) -> None:
        """Until somebody asks for something, or a clone that waits may go on."""
        left_s = [(until - now).total_seconds() for until in self._not_before.values()]
        with suppress(TimeoutError):
            async with asyncio.timeout(min([*left_s, _LONGEST_SLEEP_S]) if left_s else None):
                await self._wake.wait()

    def collect_by(self, collector: Collector) -> None:
        """Whoever brings posts in from a service; to be said before the work begins."""
        self._collector = collector

    async def submit(self, order: Order) -> Clone:
        """Put a clone in line. Once this returns, the command survives a crash.

        Raises:
            StorageError: where a clone of the same persona is in line or being made.
        """
        clone = await self._store.run(clone_records.enqueue, order)
        await self._tell(clone)
        self._wake.set()
        return clone

    async def cancel(self, clone_id: str) -> None:
        """Take a clone out of the line, or end its training; back when that is done."""
        if clone_id != self._current and (left := await self._store.run(clone_records.leave_line, clone_id)):
            await self._tell(left)
            await self._discard_upload(left)
        elif clone_id == self._current:
            self._cancelled = True
            self._cancel.set()
            if self._collecting is not None:
                self._collecting.cancel()
            if self._trainer is not None:
                await self._trainer.stop()
            await self._ended.wait()

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[asyncio.Queue[Update]]:
        """Every update from now on, of every clone."""
        updates: asyncio.Queue[Update] = asyncio.Queue()
        self._listeners.add(updates)
        try:
            yield updates
        finally:
            self._listeners.discard(updates)

    async def _make(self, clone: Clone) -> None:
        """Bring one clone to its end, or back in line when the bot stops."""
        self._current, self._cancelled = clone.id, False
        self._cancel.clear()
        self._ended.clear()
        try:
            if await self._store.run(clone_records.take, clone.id):
                await self._collect(clone)
                await self._move(clone, "training")
                await self._discard_upload(clone)  # only now: in a crash before, its posts are read once more
                await self._train(clone)
        except Cancelled:
            await self._end_early(clone)
        except ComeBack as later:
            self._not_before[clone.id] = later.until
            await self._store.run(clones.move, clone.id, "queued", str(later))
            note = f"{later} It goes on by itself at {later.until:%H:%M:%S} UTC; others go first."
            await self._tell(clone, note=note)
        except MynahError as error:
            await self._fail(clone, error, error.kind if isinstance(error, TrainingFailed) else "internal")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            hint = "Check the disk and the data folder with `mynah doctor`, then clone once more."
            await self._fail(clone, CloneFailed(f"The training could not be set up: {reason}.", hint), "internal")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one clone, the line must go on
            log.error("Clone %s met %s at %s.", clone.id, type(error).__name__, place_of(error))
            message = f"Mynah met an error that it does not know ({type(error).__name__})."
            await self._fail(clone, CloneFailed(message, "This is a mistake in Mynah; please report it."), "internal")
        finally:
            self._current = None
            self._ended.set()

    async def _collect(self, clone: Clone) -> None:
        """Posts of the file into the database, all or none; those of a service page by page."""
        await self._tell(clone)
        if self._collector is not None and not self._cancel.is_set():
            self._collecting = asyncio.create_task(
                self._collector.collect(clone, lambda note: self._tell(clone, note=note))
            )
            try:
                collected = await self._collecting
            except asyncio.CancelledError:
                if self._cancel.is_set():
                    raise Cancelled from None
                raise
            finally:
                self._collecting = None
            if collected is not None:
                await self._tell(clone, imported=collected)
        if clone.source_path is not None:
            imported = await self._store.run(
                clone_records.import_posts,
                clone,
                import_limits(self._settings),
                self._cancel,
                self._settings.consent.direct_messages,
            )
            await self._tell(clone, imported=imported)

    async def _train(self, clone: Clone) -> None:
        """Run the trainer on the clone's posts, again when it dies, until it says how it ended."""
        job = await self._store.run(clone_job.prepare, clone, self._settings)
        restarts, log_file = self._settings.training.restarts, clone_files.trainer_log(self._folder, clone.id)
        for _ in range(1 + restarts):
            finished = None if self._cancel.is_set() else await self._one_trainer(clone, job)
            if finished is not None and finished.reason != "checkpointed":
                await self._tell(clone)
                await self._clear(clone)
                log_file.unlink(missing_ok=True)
                return
            if self._cancel.is_set():
                raise Cancelled
            log.warning("The trainer of clone %s died; it is started again.", clone.id)
        raise TrainingFailed(
            "internal",
            f"The trainer died {1 + restarts} times.",
            f"`mynah doctor` looks for what may cause it, such as too little memory; its log is {log_file}.",
        )

    async def _one_trainer(self, clone: Clone, job: FinetuneJob) -> Finished | None:
        """One trainer process from start to end: each event is recorded, then told. None where it died."""
        trainer = self._trainer = await local.launch(job, clone_files.trainer_log(self._folder, clone.id))
        heard: dict[type[AnyEvent], AnyEvent] = {}
        try:
            if self._cancel.is_set():  # while it was being started
                return None
            async for event in trainer.events():
                if isinstance(event, Failed):
                    raise TrainingFailed(event.kind, event.message, event.hint)
                await self._store.run(clone_records.record, clone, event)
                heard[type(event)] = event
                if isinstance(event, Finished) and Saved in heard:
                    made = _made(heard, event)
                    await self._store.run(clone_records.keep, clone, made, self._settings.quality.max_copy_rate)
                await self._tell(clone, event)
                if isinstance(event, Finished):
                    return event
            return None
        finally:
            await trainer.stop()
            self._trainer = None

    async def _end_early(self, clone: Clone) -> None:
        if self._cancelled:
            await self._move(clone, "cancelled", "cancelled by command")
            await self._clear(clone)
        else:
            await self._move(clone, "queued", "the bot stopped")

    async def _fail(self, clone: Clone, error: MynahError, kind: FailureKind) -> None:
        await self._move(
            clone, "failed", error.message, error_kind=kind, error_message=error.message, error_hint=error.hint
        )
        await self._clear(clone)

    async def _move(self, clone: Clone, to: clones.State, detail: str = "", **columns: Unpack[clones.Columns]) -> None:
        await self._store.run(clones.move, clone.id, to, detail, **columns)
        await self._tell(clone)

    async def _tell(
        self, clone: Clone, event: AnyEvent | None = None, imported: posts.Added | None = None, note: str = ""
    ) -> None:
        if self._listeners:
            update = replace(await self._store.run(_update, clone, event, imported), note=note)
            for listener in self._listeners:
                listener.put_nowait(update)

    async def _clear(self, clone: Clone) -> None:
        """Away with what only a training under way needs; the log of one that failed stays to be read."""
        await asyncio.to_thread(clone_files.clear_job, self._folder, clone.id)
        await self._discard_upload(clone)

    async def _discard_upload(self, clone: Clone) -> None:
        await asyncio.to_thread(clone_files.discard_upload, self._folder, clone.source_path)


def import_limits(settings: Settings) -> Limits:
    """How much of a person's file is read."""
    limits = settings.limits
    return Limits(max_file_bytes=limits.max_file_mb * 1_000_000, max_posts=limits.max_posts)


def _made(heard: dict[type[AnyEvent], AnyEvent], finished: Finished) -> Made:
    """What the last event of each kind says of the result."""
    started, saved = heard.get(Started), heard[Saved]
    compared, judged = heard.get(Compared), heard.get(Judged)
    assert isinstance(started, Started)
    assert isinstance(saved, Saved)
    return Made(
        started,
        saved,
        finished.step,
        compared if isinstance(compared, Compared) else None,
        judged if isinstance(judged, Judged) else None,
    )


def _update(db: Database, clone: Clone, event: AnyEvent | None, imported: posts.Added | None) -> Update:
    return Update(clones.get(db, clone.id), personas.get(db, clone.persona_id).handle, event, imported)
