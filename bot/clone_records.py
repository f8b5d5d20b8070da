"""What the steps of a clone's life write, each in one transaction: all of it is there after a crash, or none.

Functions for the database's thread (`Store.run`); `bot.cloning` says when.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from bot.errors import CloneFailed
from bot.sources import Limits, open_source
from storage import clones, learning, personas, posts, weights
from storage.clones import Clone
from storage.posts import Post
from trainer.catalog import file_sha256
from trainer.protocol import AnyEvent, Counted, Evaluated, Sample, Saved, Started, Step
from trainer.recipes import Recipe


class Cancelled(Exception):
    """Posts were being imported, and are not wanted any more."""


def take(db: Database, clone_id: str) -> bool:
    """Begin work on a clone in line; False where it was cancelled a moment ago."""
    with db.atomic():
        waiting = clones.get(db, clone_id).state == "queued"
        if waiting:
            clones.move(db, clone_id, "collecting")
        return waiting


def leave_line(db: Database, clone_id: str) -> bool:
    """Cancel a clone in line; False where work on it has begun, or it has ended."""
    with db.atomic():
        waiting = clones.get(db, clone_id).state == "queued"
        if waiting:
            clones.move(db, clone_id, "cancelled", "cancelled while in line")
        return waiting


def enqueue(
    db: Database, handle: str, recipe: Recipe, base: str, seed: int, requested_by: str, source: Path | None
) -> Clone:
    """Put a clone in line, its persona made if it is not there. Raises StorageError as `clones.enqueue`."""
    with db.atomic():
        persona = personas.ensure(db, handle)
        path = None if source is None else str(source.resolve())
        return clones.enqueue(db, persona.id, recipe.name, recipe.model_dump_json(), base, seed, requested_by, path)


def import_posts(db: Database, clone: Clone, limits: Limits, cancel: threading.Event) -> posts.Added:
    """Posts of the clone's file into the database. Raises Cancelled, or SourceError, with nothing imported."""
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
            raise Cancelled
        yield post


def write_posts(db: Database, clone: Clone, work_dir: Path) -> None:
    """The job's posts file, readable by its owner alone."""
    work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (work_dir / "posts.jsonl").open("w", encoding="utf-8") as lines:
        for post in posts.of_persona(db, clone.persona_id):
            when = post.created_at.isoformat() if post.created_at else None
            row = {"id": post.id, "created_at": when, "text": post.text, "kind": post.kind}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def record(db: Database, clone: Clone, event: AnyEvent) -> None:
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
                quoted=event.quoted,
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


def keep(db: Database, clone: Clone, started: Started, saved: Saved) -> None:
    """The model into the database, and the clone ready and speaking, in one transaction.

    Raises:
        CloneFailed: where a file is not what the trainer said it saved.
    """
    assert saved.method in ("lora", "full")
    for file in saved.files:
        if file_sha256(file.path) != file.sha256:
            raise CloneFailed(f"The trained file {file.name} changed on its way into the database.", "Clone once more.")
    with db.atomic():
        weights.save_model(db, clone.id, saved.method, started.base, started.base_hash, saved.files[0].path.parent)
        clones.move(db, clone.id, "ready", base_hash=started.base_hash)
        personas.set_current(db, clone.persona_id, clone.id)
