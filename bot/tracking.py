"""`mynah wandb sync`: what was tracked offline goes to W&B, clone by clone."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from sqlite_utils import Database

from bot.data_folder import DataFolder
from bot.errors import TrainerFailed
from bot.settings import Settings
from storage import evaluations
from storage.database import Store
from storage.evaluations import TrackedRun
from trainer.protocol import EVENT, AnyEvent, Tracked, Tracking, Warned


async def sync(settings: Settings, store: Store) -> list[Tracked]:
    """Upload every clone's offline runs, and keep where they are; returns those that are at W&B now.

    Raises:
        TrainerFailed: with the first reason, where something is left.
    """
    done: list[Tracked] = []
    warned: list[Warned] = []
    for folder in await asyncio.to_thread(_folders, DataFolder(settings.data_dir).tracking):
        for event in await _upload(folder, settings):
            if isinstance(event, Tracked):
                await store.run(_record, folder.name, event)
                done.append(event)
            elif isinstance(event, Warned):
                warned.append(event)
    if warned:
        raise TrainerFailed(warned[0].message, warned[0].hint)
    return done


def _folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


def _record(db: Database, clone_id: str, run: Tracked) -> None:
    """Cards link to it from now on; where its clone was erased meanwhile, nothing is kept."""
    if db.table("clones").count_where("id = ?", [clone_id]):
        evaluations.record_run(db, clone_id, TrackedRun(run.job_type, run.run_id, run.url))


async def _upload(folder: Path, settings: Settings) -> list[AnyEvent]:
    tracking = Tracking(
        mode="online",
        project=settings.tracking.project,
        entity=settings.tracking.entity,
        base_url=settings.urls.wandb,
        folder=folder,
    )
    key = settings.tokens.wandb_api_key
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "trainer.tracking", "sync"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=os.environ | ({"WANDB_API_KEY": key.get_secret_value()} if key else {}),
    )
    said, _ = await process.communicate(tracking.model_dump_json().encode() + b"\n")
    events = [EVENT.validate_json(line) for line in said.splitlines()]
    if process.returncode != 0 and not any(isinstance(event, Warned) for event in events):
        events.append(Warned(message=f"The runs in {folder} could not be uploaded.", hint="Try again."))
    return events
