"""A clone's life: queued → collecting → training → ready | failed | cancelled.

One clone is made at a time, in fair order. Every step reads the clone's row, works, and writes the next state in one
transaction, so a `kill -9` at any moment loses nothing: at the next start what was under way goes back in line, and
the trainer goes on from its checkpoint. Nothing is true only in memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from sqlite_utils import Database

from bot.data_folder import DataFolder
from bot.errors import CloneFailed
from bot.launchers import local
from bot.settings import Settings
from bot.sources import Limits, open_source
from storage import clones, learning, personas, posts, weights
from storage.clones import Clone
from storage.database import Store
from storage.errors import MynahError
from storage.posts import Post
from trainer.catalog import file_sha256
from trainer.protocol import (
    AnyEvent,
    Counted,
    Evaluated,
    Failed,
    FailureKind,
    FinetuneJob,
    Finished,
    Sample,
    Saved,
    Started,
    Step,
)
from trainer.recipes import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Update:
    """Something happened to a clone: it is in this state now, and the trainer may have said something."""

    clone: Clone
    handle: str
    event: AnyEvent | None = None
    imported: posts.Added | None = None


class TrainingFailed(CloneFailed):
    """The trainer said why it failed."""

    def __init__(self, kind: FailureKind, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.kind = kind


class _Cancelled(Exception):
    """The person took the command back while posts were being collected."""


class Cloning:
    """The queue and the one clone that is being made."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._folder = DataFolder(settings.data_dir)
        self._store = store
        self._wake = asyncio.Event()
        self._listeners: set[asyncio.Queue[Update]] = set()
        self._trainer: local.Trainer | None = None
        self._current: str | None = None
        self._cancel = threading.Event()  # read by the storage thread while it imports
        self._stopping = False

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Make clones as long as this lasts; then the trainer writes its checkpoint, for the next start."""
        making = asyncio.create_task(self._run(), name="cloning")
        try:
            yield
        finally:
            self._stopping = True
            self._cancel.set()
            self._wake.set()
            if self._trainer is not None:
                await self._trainer.stop()
            await making

    async def _run(self) -> None:
        """Make the clones in line, one after another, until it stops."""
        for clone in await self._store.run(clones.active):
            if clone.state != "queued":
                await self._move(clone, "queued", "taken up again after a restart")
        while not self._stopping:
            self._wake.clear()
            line = await self._store.run(clones.in_line)
            if not line:
                await self._wake.wait()
                continue
            await self._make(line[0])

    async def submit(self, handle: str, recipe: Recipe, source: Path | None, requested_by: str, seed: int) -> Clone:
        """Put a clone in line. Once this returns, the command survives a crash.

        Raises:
            StorageError: where a clone of the same persona is in line or being made.
        """
        clone = await self._store.run(_enqueue, handle, recipe, self._settings.base_model, seed, requested_by, source)
        await self._tell(clone)
        self._wake.set()
        return clone

    async def cancel(self, clone_id: str) -> None:
        """Take a clone out of the line, or end its training."""
        if clone_id == self._current:
            self._cancel.set()
            if self._trainer is not None:
                await self._trainer.stop()
            return
        clone = await self._store.run(clones.get, clone_id)
        await self._move(clone, "cancelled", "cancelled while in line")

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
        self._current = clone.id
        self._cancel.clear()
        try:
            await self._collect(clone)
            await self._move(clone, "training")
            await self._train(clone)
        except _Cancelled:
            await self._end_early(clone)
        except MynahError as error:
            kind = error.kind if isinstance(error, TrainingFailed) else "internal"
            await self._move(
                clone, "failed", error.message, error_kind=kind, error_message=error.message, error_hint=error.hint
            )
            self._clear(clone)
        finally:
            self._current = None

    async def _collect(self, clone: Clone) -> None:
        """Posts of the file into the database, all or none."""
        await self._move(clone, "collecting")
        if clone.source_path is not None:
            limits = Limits(
                max_file_bytes=self._settings.limits.max_file_mb * 1_000_000,
                max_posts=self._settings.limits.max_posts,
            )
            imported = await self._store.run(_import, clone, limits, self._cancel)
            await self._tell(clone, imported=imported)

    async def _train(self, clone: Clone) -> None:
        """Run the trainer on the clone's posts, again when it dies, until it says how it ended."""
        work_dir = self._folder.jobs / clone.id
        await self._store.run(_write_posts, clone, work_dir)
        job = self._job(clone, work_dir)
        restarts = self._settings.training.restarts
        for _ in range(1 + restarts):
            finished = await self._one_trainer(clone, job)
            if finished is not None and finished.reason != "checkpointed":
                await self._tell(clone)
                self._clear(clone)
                self._log(clone).unlink(missing_ok=True)
                return
            if self._cancel.is_set():
                raise _Cancelled
            log.warning("The trainer of clone %s died; it is started again.", clone.id)
        raise TrainingFailed(
            "internal",
            f"The trainer died {1 + restarts} times.",
            f"`mynah doctor` looks for what may cause it, such as too little memory; its log is {self._log(clone)}.",
        )

    async def _one_trainer(self, clone: Clone, job: FinetuneJob) -> Finished | None:
        """One trainer process from start to end: each event is recorded, then told. None where it died."""
        trainer = self._trainer = await local.launch(job, self._log(clone))
        started: Started | None = None
        saved: Saved | None = None
        try:
            async for event in trainer.events():
                if isinstance(event, Failed):
                    raise TrainingFailed(event.kind, event.message, event.hint)
                started = event if isinstance(event, Started) else started
                saved = event if isinstance(event, Saved) else saved
                if isinstance(event, Finished) and started and saved:
                    await self._store.run(_keep, clone, started, saved)
                await self._store.run(_record, clone, event)
                await self._tell(clone, event)
                if isinstance(event, Finished):
                    return event
            return None
        finally:
            await trainer.stop()
            self._trainer = None

    async def _end_early(self, clone: Clone) -> None:
        if self._stopping:
            await self._move(clone, "queued", "the bot stopped")
        else:
            await self._move(clone, "cancelled", "cancelled by command")
            self._clear(clone)

    async def _move(self, clone: Clone, to: clones.State, detail: str = "", **columns: Unpack[clones.Columns]) -> None:
        await self._store.run(clones.move, clone.id, to, detail, **columns)
        await self._tell(clone)

    async def _tell(self, clone: Clone, event: AnyEvent | None = None, imported: posts.Added | None = None) -> None:
        if self._listeners:
            update = await self._store.run(_update, clone, event, imported)
            for listener in self._listeners:
                listener.put_nowait(update)

    def _job(self, clone: Clone, work_dir: Path) -> FinetuneJob:
        training, corpus = self._settings.training, self._settings.corpus
        return FinetuneJob(
            job_id=clone.id,
            base=clone.base,
            cache_dir=self._folder.cache,
            hub_url=self._settings.urls.hub,
            device=training.device,
            precision=training.precision,
            threads=training.threads,
            nice=training.nice,
            parent_pid=os.getpid(),
            persona=clone.persona_id,
            posts=work_dir / "posts.jsonl",
            work_dir=work_dir,
            recipe=Recipe.model_validate_json(clone.recipe_json),
            seed=clone.seed,
            min_characters=corpus.min_characters,
            warn_characters=corpus.warn_characters,
        )

    def _log(self, clone: Clone) -> Path:
        return self._folder.logs / f"trainer-{clone.id}.log"

    def _clear(self, clone: Clone) -> None:
        """What only a training under way needs; the log of one that failed stays to be read."""
        shutil.rmtree(self._folder.jobs / clone.id, ignore_errors=True)


def _enqueue(
    db: Database, handle: str, recipe: Recipe, base: str, seed: int, requested_by: str, source: Path | None
) -> Clone:
    with db.atomic():
        persona = personas.ensure(db, handle)
        path = None if source is None else str(source.resolve())
        return clones.enqueue(db, persona.id, recipe.name, recipe.model_dump_json(), base, seed, requested_by, path)


def _import(db: Database, clone: Clone, limits: Limits, cancel: threading.Event) -> posts.Added:
    assert clone.source_path is not None
    persona = personas.get(db, clone.persona_id)
    source = open_source(Path(clone.source_path), author=persona.handle, limits=limits)
    with db.atomic():
        added = posts.add(db, persona.id, _until(cancel, source.posts))
        personas.ensure(db, persona.handle, display_name=source.display_name or "", source=source.kind)
    return added


def _until(cancel: threading.Event, imported: Iterator[Post]) -> Iterator[Post]:
    for post in imported:
        if cancel.is_set():
            raise _Cancelled
        yield post


def _write_posts(db: Database, clone: Clone, work_dir: Path) -> None:
    """The job's posts file, readable by its owner alone."""
    work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (work_dir / "posts.jsonl").open("w", encoding="utf-8") as lines:
        for post in posts.of_persona(db, clone.persona_id):
            when = post.created_at.isoformat() if post.created_at else None
            row = {"id": post.id, "created_at": when, "text": post.text, "kind": post.kind}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def _record(db: Database, clone: Clone, event: AnyEvent) -> None:
    """Keep what an event says."""
    match event:
        case Started():
            learning.forget_samples_after(db, clone.id, event.resumed_at_step)
        case Counted():
            counts = clones.Counts(
                downloaded=event.downloaded,
                reposts=event.reposts,
                short=event.short,
                kept=event.kept,
                duplicates=event.duplicates,
                characters=event.characters,
                train_posts=event.train,
                heldout_posts=event.heldout,
                warning=event.warning,
            )
            with db.atomic():
                clones.record_counts(db, clone.id, counts)
                if event.corpus is not None:
                    learning.record_corpus(db, clone.id, _read_corpus(event.corpus.path))
        case Evaluated(stage="before"):
            clones.record_quality(db, clone.id, before=event.bits_per_byte)
        case Evaluated(stage="after"):
            clones.record_quality(db, clone.id, after=event.bits_per_byte)
        case Step():
            clones.record_quality(db, clone.id, loss=event.loss)
        case Sample():
            learning.add_sample(db, clone.id, event.step, event.prompt, event.text)


def _read_corpus(path: Path) -> Iterator[learning.CorpusPost]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield learning.CorpusPost(row["id"], row["split"], row["text"])


def _keep(db: Database, clone: Clone, started: Started, saved: Saved) -> None:
    """The model into the database, and the clone ready and speaking, in one transaction.

    Raises:
        CloneFailed: where a file is not what the trainer said it saved.
    """
    assert saved.method != "export"
    for file in saved.files:
        if file_sha256(file.path) != file.sha256:
            raise CloneFailed(f"The trained file {file.name} changed on its way into the database.", "Clone once more.")
    with db.atomic():
        weights.save_model(db, clone.id, saved.method, started.base, started.base_hash, saved.files[0].path.parent)
        clones.move(db, clone.id, "ready", base_hash=started.base_hash)
        personas.set_current(db, clone.persona_id, clone.id)


def _update(db: Database, clone: Clone, event: AnyEvent | None, imported: posts.Added | None) -> Update:
    return Update(clones.get(db, clone.id), personas.get(db, clone.persona_id).handle, event, imported)
