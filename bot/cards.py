"""`/card`: the facts of a persona's current version become a model card, with its pictures, in a folder of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlite_utils import Database

from bot import clone_job
from bot.data_folder import DataFolder
from bot.launchers import local
from bot.people import grounds
from bot.settings import Settings
from bot.speakers import Ready, Speakers
from storage import blends, consents, evaluations, learning, personas
from storage.clones import Clone
from storage.database import Store
from storage.personas import Persona
from trainer import catalog
from trainer.card_facts import CardFacts, Example, Person, Run
from trainer.protocol import CardJob
from trainer.report import DriftReport, QualityReport

PAGE = "card.html"


async def write_card(settings: Settings, store: Store, speakers: Speakers, handle: str) -> Path:
    """Write the card of the version that speaks for a handle; returns its folder.

    Raises:
        NotFound, StorageError, TrainerFailed.
    """
    async with card_job(settings, store, speakers, handle) as job:
        await local.errand(job, DataFolder(settings.data_dir).logs / f"{job.job_id}.log")
        return job.out_dir


@asynccontextmanager
async def card_job(
    settings: Settings, store: Store, speakers: Speakers, handle: str, out_dir: Path | None = None, repo: str = ""
) -> AsyncIterator[CardJob]:
    """The job that writes the card; what it reads is there as long as this lasts.

    Raises:
        NotFound, StorageError.
    """
    ready = await speakers.find(handle)
    folder = DataFolder(settings.data_dir)
    out_dir = out_dir or folder.cards / ready.clone.id
    folder.jobs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.jobs) as scratch:
        facts = await store.run(_facts, ready, settings.card.contact, repo)
        corpus = await store.run(clone_job.write_corpus, ready.clone.id, Path(scratch) / "corpus.jsonl")
        yield CardJob(
            job_id=f"card-{ready.clone.id}",
            base=ready.model.base,
            cache_dir=folder.cache,
            hub_url=settings.urls.hub,
            parent_pid=os.getpid(),
            facts=facts,
            corpus=corpus,
            out_dir=out_dir.absolute(),
        )


def _facts(db: Database, ready: Ready, contact: str, repo: str) -> CardFacts:
    clone, persona = ready.clone, ready.persona
    packaged = catalog.PACKAGED.get(ready.model.base)
    evaluation = evaluations.newest(db, clone.id)
    counts = clone.counts
    samples = learning.samples(db, clone.id)
    last = max((sample.step for sample in samples), default=0)
    return CardFacts(
        handle=persona.handle,
        people=_people(db, persona, clone),
        version=clone.version,
        created_at=clone.finished_at or clone.created_at,
        base=ready.model.base,
        base_hash=ready.model.base_hash,
        base_licence=packaged.licence if packaged else "",
        method=ready.model.method,
        recipe=ready.recipe,
        seed=clone.seed,
        device=clone.device or "",
        train_posts=counts.train_posts if counts else 0,
        heldout_posts=counts.heldout_posts if counts else 0,
        duplicates=counts.duplicates if counts else 0,
        quoted=counts.quoted if counts else 0,
        warning=counts.warning if counts else "",
        report=QualityReport.model_validate_json(evaluation.measured.report_json) if evaluation else None,
        drift=DriftReport.model_validate_json(clone.drift_json) if clone.drift_json else None,
        runs=tuple(
            Run(job_type=run.job_type, run_id=run.run_id, url=run.url) for run in evaluations.runs(db, clone.id)
        ),
        examples=tuple(Example(prompt=sample.prompt, text=sample.text) for sample in samples if sample.step == last),
        contact=contact,
        repo=repo,
    )


def _people(db: Database, persona: Persona, clone: Clone) -> tuple[Person, ...]:
    heard = blends.people(db, clone.id)
    if heard:
        blended = {part.handle: personas.get(db, part.persona_id) for part in blends.parts(db, persona.id)}
        return tuple(
            _person(
                db,
                blended.get(row.handle),
                row.handle,
                counts=(row.downloaded, row.reposts, row.short, row.kept, row.characters),
                share=row.share,
            )
            for row in heard
        )
    counts = clone.counts
    numbers = (counts.downloaded, counts.reposts, counts.short, counts.kept, counts.characters) if counts else (0,) * 5
    return (_person(db, persona, persona.handle, numbers, 1.0),)


def _person(db: Database, persona: Persona | None, handle: str, counts: tuple[int, ...], share: float) -> Person:
    """Somebody whose posts were learned from, and the grounds that are recorded for using them."""
    downloaded, reposts, short, kept, characters = counts
    return Person(
        handle=handle,
        display_name=persona.display_name if persona else "",
        source=grounds.source_name(persona.source) if persona else "",
        consent=grounds.all_in_words(consents.of(db, persona.id)) if persona else "",
        downloaded=downloaded,
        reposts=reposts,
        short=short,
        kept=kept,
        characters=characters,
        share=share,
    )
