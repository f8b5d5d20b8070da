"""`/evaluate`: a ready clone is judged anew, with more samples than its training ended with."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from bot import clone_job
from bot.clone_records import measured
from bot.data_folder import DataFolder
from bot.errors import TrainerFailed
from bot.launchers import local
from bot.settings import Settings
from bot.speakers import Ready, Speakers
from storage import evaluations
from storage.database import Store
from trainer.protocol import EvaluateJob, Judged
from trainer.report import QualityReport


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Whom the figures are of."""

    handle: str
    version: int
    report: QualityReport


async def evaluate(
    settings: Settings, store: Store, speakers: Speakers, handle: str, samples: int, seed: int
) -> Evaluated:
    """Judge the version that speaks for a handle, and keep the figures.

    Raises:
        NotFound, StorageError, TrainerFailed.
    """
    ready = await speakers.find(handle)
    folder = DataFolder(settings.data_dir)
    weights_dir = await speakers.weights(ready)
    folder.jobs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.jobs) as scratch:
        job = await store.run(_prepare, ready, settings, weights_dir, Path(scratch), samples, seed)
        events = await local.errand(job, folder.logs / f"{job.job_id}.log")
    for event in events:
        if isinstance(event, Judged):
            await store.run(evaluations.add, ready.clone.id, measured(event.report))
            return Evaluated(ready.persona.handle, ready.clone.version, event.report)
    raise TrainerFailed("The trainer ended without figures.", "Try again.")


def _prepare(
    db: Database, ready: Ready, settings: Settings, weights_dir: Path, scratch: Path, samples: int, seed: int
) -> EvaluateJob:
    training = settings.training
    return EvaluateJob(
        job_id=f"evaluate-{ready.clone.id}",
        base=ready.model.base,
        cache_dir=DataFolder(settings.data_dir).cache,
        hub_url=settings.urls.hub,
        device=training.device,
        threads=training.threads,
        nice=training.nice,
        parent_pid=os.getpid(),
        persona=ready.persona.handle,
        weights_dir=weights_dir,
        corpus=clone_job.write_corpus(db, ready.clone.id, scratch / "corpus.jsonl"),
        others=clone_job.write_others(db, ready.persona, scratch),
        recipe=ready.recipe,
        samples=samples,
        seed=seed,
    )
