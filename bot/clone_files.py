"""What of a clone lies in the data folder until it has ended: its job, its log, and the file that was handed over.

None of it outlives its clone. What a crash leaves behind goes at the next start.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from bot.data_folder import DataFolder
from storage.clones import Clone


def trainer_log(folder: DataFolder, clone_id: str) -> Path:
    """Where its trainers write for people."""
    return folder.logs / f"trainer-{clone_id}.log"


def clear_job(folder: DataFolder, clone_id: str) -> None:
    """Away with posts and checkpoints, which only a training under way needs."""
    shutil.rmtree(folder.jobs / clone_id, ignore_errors=True)


def discard_upload(folder: DataFolder, source_path: str | None) -> None:
    """A file that somebody handed over through a gateway is not kept; one of the owner's disk is theirs."""
    uploads = folder.uploads.resolve()
    if source_path is not None and uploads in Path(source_path).parents:
        _remove(uploads / Path(source_path).relative_to(uploads).parts[0])


def sweep(folder: DataFolder, under_way: Collection[Clone]) -> None:
    """Delete what was left, in the moment of a crash, of clones that have ended or never came in line."""
    ids = {clone.id for clone in under_way}
    for job in folder.jobs.iterdir() if folder.jobs.is_dir() else ():
        if job.name not in ids:
            shutil.rmtree(job, ignore_errors=True)
    wanted = [Path(clone.source_path) for clone in under_way if clone.source_path is not None]
    kept = {parent for path in wanted for parent in (path, *path.parents)}
    uploads = folder.uploads.resolve()
    for upload in uploads.iterdir() if uploads.is_dir() else ():
        if upload not in kept:
            _remove(upload)


def _remove(upload: Path) -> None:
    """A file, or the folder in which it lies alone."""
    if upload.is_dir():
        shutil.rmtree(upload, ignore_errors=True)
    else:
        upload.unlink(missing_ok=True)
