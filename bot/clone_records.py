"""What the steps of a clone's life write, each in one transaction: all of it is there after a crash, or none.

Functions for the database's thread (`Store.run`); `bot.cloning` says when.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlite_utils import Database

from bot import promotion
from bot.errors import CloneFailed, SourceError
from bot.people import grounds
from bot.sources import ARCHIVES, Limits, Source, open_source
from storage import blends, clones, consents, evaluations, learning, personas, posts, weights, x_collections
from storage.clones import Clone
from storage.evaluations import Measured, TrackedRun
from storage.personas import Persona
from storage.posts import Post
from storage.x_collections import Collection
from trainer.catalog import file_sha256
from trainer.protocol import (
    AnyEvent,
    Compared,
    Counted,
    Drifted,
    Evaluated,
    Judged,
    Sample,
    Saved,
    Started,
    Step,
    Tracked,
)
from trainer.recipes import Recipe
from trainer.report import QualityReport

EXAMPLES = 20
"""Samples of a finished clone that are kept, for its card."""


@dataclass(frozen=True, slots=True)
class Order:
    """A clone that somebody asked for."""

    handle: str
    recipe: Recipe
    base: str
    seed: int
    requested_by: str
    source: Path | None = None
    """A file whose posts are imported first."""
    goes_on_from: str | None = None
    """The clone that is refreshed."""
    collection: Collection | None = None
    """What is read from X first."""
    shares: Mapping[str, float] | None = None
    """A blend: persona ids, and the share of each."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a trainer said of the clone that it has made."""

    started: Started
    saved: Saved
    step: int
    compared: Compared | None = None
    judged: Judged | None = None


class Cancelled(Exception):
    """Posts were being imported, and are not wanted any more."""


def take(db: Database, clone_id: str) -> bool:
    """Begin work on a clone in line; False where it was cancelled a moment ago."""
    with db.atomic():
        waiting = clones.get(db, clone_id).state == "queued"
        if waiting:
            clones.move(db, clone_id, "collecting")
        return waiting


def leave_line(db: Database, clone_id: str) -> Clone | None:
    """Cancel a clone in line, and hand out how it was there; None where work on it has begun, or it has ended."""
    with db.atomic():
        clone = clones.get(db, clone_id)
        if clone.state != "queued":
            return None
        clones.move(db, clone_id, "cancelled", "cancelled while in line")
        return clone


def enqueue(db: Database, order: Order) -> Clone:
    """Put a clone in line, its persona made if it is not there. Raises StorageError as `clones.enqueue`."""
    with db.atomic():
        persona = personas.ensure(db, order.handle)
        if order.shares:
            blends.set_parts(db, persona.id, order.shares)
        recipe, source = order.recipe, order.source
        clone = clones.enqueue(
            db,
            persona.id,
            recipe.name,
            recipe.model_dump_json(),
            order.base,
            order.seed,
            order.requested_by,
            None if source is None else str(source.resolve()),
            order.goes_on_from,
        )
        if order.collection is not None:
            x_collections.begin(db, clone.id, persona.id, order.collection)
        return clone


def import_posts(
    db: Database, clone: Clone, limits: Limits, cancel: threading.Event, direct_messages: bool = False
) -> posts.Added:
    """Posts of the clone's file into the database, and on what ground they are there.

    Raises Cancelled, SourceError, or OptedOut, with nothing imported.
    """
    assert clone.source_path is not None
    persona = personas.get(db, clone.persona_id)
    source = open_source(Path(clone.source_path), author=persona.handle, limits=limits, direct_messages=direct_messages)
    refuse_opted_out(db, source.handle)
    with db.atomic():
        before = posts.authors(db, persona.id, source.kind)
        added = posts.add(db, persona.id, _until(cancel, source.posts))
        _refuse_another_account(persona, source, before, added)
        if source.handle is not None and source.handle.lower() != persona.handle:
            added = replace(added, of_another=source.handle)
        personas.ensure(db, persona.handle, display_name=source.display_name or "", source=source.kind)
        ground = grounds.ground_of_file(source.kind, clone.requested_by)
        member = consents.member_in(clone.requested_by)
        subject = f"discord:{member}" if member else persona.handle
        consents.record(
            db,
            persona.id,
            ground,
            subject,
            clone.requested_by,
            source.kind,
            grounds.scope_of(ground),
            clone.id,
            consents.take_agreement(db, member) if member else None,
        )
    return added


def refuse_opted_out(db: Database, named: str | None) -> None:
    """Raises OptedOut where the one whom a file names is not to be learned from, whatever the clone is called."""
    grounds.refuse_opted_out(db, named, told="The file is of a person who has opted out.")


def _refuse_another_account(persona: Persona, source: Source, before: set[str], added: posts.Added) -> None:
    """Raises SourceError where the file names somebody else than the files of its kind before: a voice is one person's.

    An archive of an account that has a new name holds posts that are here already.
    """
    named = (source.handle or persona.handle).lower()
    is_renamed = source.kind in ARCHIVES and added.updated + added.unchanged > 0
    if before and named not in {persona.handle, *before} and not is_renamed:
        raise SourceError(
            f"The file is of @{source.handle}, and what @{persona.handle} learned from is of @{sorted(before)[0]}.",
            "Clone it under a handle of its own; /blend speaks like both.",
        )


def _until(cancel: threading.Event, imported: Iterator[Post]) -> Iterator[Post]:
    for post in imported:
        if cancel.is_set():
            raise Cancelled
        yield post


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
            heard = [blends.PersonHeard(row.person, **row.model_dump(exclude={"person"})) for row in event.people]
            with db.atomic():
                clones.record_counts(db, clone.id, counts)
                blends.record_people(db, clone.id, heard)
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
        case Drifted():
            clones.record_drift(db, clone.id, event.report.model_dump_json())
        case Tracked():
            evaluations.record_run(db, clone.id, TrackedRun(event.job_type, event.run_id, event.url))


def measured(report: QualityReport) -> Measured:
    """A report as it is stored."""
    samples = report.samples
    who = samples.authorship if samples else None
    return Measured(
        heldout_posts=report.heldout_posts,
        bits_per_byte_base=report.bits_per_byte_base.value if report.bits_per_byte_base else None,
        bits_per_byte=report.bits_per_byte.value if report.bits_per_byte else None,
        samples=samples.samples if samples else None,
        copy_rate=samples.copy_rate.value if samples else None,
        style_distance=samples.style_distance.value if samples else None,
        who_said_it=who.samples.value if who else None,
        report_json=report.model_dump_json(),
    )


def _read_corpus(path: Path) -> Iterator[learning.CorpusPost]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield learning.CorpusPost(row["id"], row["split"], row["text"])


def own_words(judged: Judged) -> list[str]:
    """The samples that copy nothing, as far as the report says: the ten nearest to a source are checked one by one."""
    samples = judged.report.samples
    copied = {near.sample for near in samples.nearest if near.copied} if samples else set()
    return [text for text in judged.examples if text not in copied]


def keep(db: Database, clone: Clone, made: Made, max_copy_rate: float) -> None:
    """The model into the database, the clone ready, and speaking if it is no worse; all in one transaction.

    Raises:
        CloneFailed: where a file is not what the trainer said it saved.
    """
    started, saved = made.started, made.saved
    assert saved.method in ("lora", "full")
    for file in saved.files:
        if file_sha256(file.path) != file.sha256:
            raise CloneFailed(f"The trained file {file.name} changed on its way into the database.", "Clone once more.")
    with db.atomic():
        persona = personas.get(db, clone.persona_id)
        current = clones.get(db, persona.current_clone_id) if persona.current_clone_id else None
        report = made.judged.report if made.judged else None
        verdict = promotion.judge(current, made.compared, report, max_copy_rate)
        weights.save_model(db, clone.id, saved.method, started.base, started.base_hash, saved.files[0].path.parent)
        clones.move(db, clone.id, "ready", base_hash=started.base_hash, device=started.device, verdict=verdict.reason)
        if made.judged is not None:
            evaluations.add(db, clone.id, measured(made.judged.report))
            for text in own_words(made.judged)[:EXAMPLES]:
                learning.add_sample(db, clone.id, made.step, "", text)
        if verdict.promoted:
            personas.set_current(db, persona.id, clone.id)
