"""Which of several texts a person would approve, from what they approved before: the trainer learns it, this reads it.

It is used only where it was better than chance on choices that it had not seen.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from bot.data_folder import DataFolder
from bot.errors import CommandError, TrainerFailed
from bot.guard.features import NAMES, features
from bot.guard.profile import Profile
from bot.launchers import local
from bot.settings import Settings
from storage import choices
from storage.database import Store
from storage.ids import new_id
from trainer.protocol import Ranked, RerankJob
from trainer.report import RerankReport

FEWEST = 20
LEARN_EVERY = 20
"""Choices after which it learns anew by itself."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What `/reranker show` tells."""

    choices: int
    approved: int
    report: RerankReport | None


class Reranker:
    """One for all personas; the figures that it goes by are each persona's own."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    async def ordered(self, texts: Sequence[str], profile: Profile) -> list[str]:
        """The most promising first; in the order given, as long as that cannot be told."""
        report = await self._store.run(_report)
        if report is None or not report.used:
            return list(texts)
        return sorted(texts, key=lambda text: -report.score(features(text, profile)))

    async def show(self) -> Shown:
        """How many choices there are, and how good it is."""
        made, approved = await self._store.run(choices.counts)
        return Shown(made, approved, await self._store.run(_report))

    async def learn(self) -> RerankReport:
        """Learn from every choice there is. Raises CommandError where they are too few, or TrainerFailed."""
        rows = await self._store.run(choices.all)
        made = {chosen: sum(row.chosen == chosen for row in rows) for chosen in (True, False)}
        if min(made.values()) < FEWEST // 4 or len(rows) < FEWEST:
            raise CommandError(
                f"There are {made[True]} approvals and {made[False]} rejections.",
                f"It takes {FEWEST} choices, {FEWEST // 4} of each kind; /drafts makes them.",
            )
        folder = DataFolder(self._settings.data_dir)
        folder.jobs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.jobs) as scratch:
            file = Path(scratch) / "choices.jsonl"
            file.write_text(
                "\n".join(json.dumps({"chosen": row.chosen, "features": row.features}) for row in rows),
                encoding="utf-8",
            )
            job = RerankJob(job_id=new_id(), base="", cache_dir=folder.cache, choices=file, names=NAMES)
            events = await local.errand(job, folder.logs / f"{job.job_id}.log")
        report = next((event.report for event in events if isinstance(event, Ranked)), None)
        if report is None:
            raise TrainerFailed("The trainer ended without a reranker.", "Try again.")
        await self._store.run(choices.record_reranker, report.model_dump_json(), datetime.now(UTC))
        return report

    async def learn_if_due(self) -> bool:
        """Learn where there are so many new choices that it pays."""
        made, approved = await self._store.run(choices.counts)
        if made % LEARN_EVERY or min(approved, made - approved) < FEWEST // 4 or made < FEWEST:
            return False
        await self.learn()
        return True


def _report(db: Database) -> RerankReport | None:
    found = choices.reranker(db)
    report = None if found is None else RerankReport.model_validate_json(found)
    return report if report is not None and report.names == NAMES else None
