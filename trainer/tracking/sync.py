"""Uploads what was written offline, or was cut off while it was uploaded: the library's own `wandb sync`, run by run.

`wandb sync` marks a run that it has uploaded, and says nothing by its exit status; so the mark is believed. Runs go
in the order in which they were written, since a training that went on is several files of one run, and the data set
of a training is made by the run before it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from trainer.protocol import Tracked, Tracking, Warned
from trainer.stream import Emit
from trainer.tracking.disk import is_synced, unsynced
from trainer.tracking.surroundings import environment, uploading

RUN_WAIT_S = 1800.0
_PATIENCE = {
    "WANDB_SILENT": "false",  # what it says is read here
    "WANDB_HTTP_TIMEOUT": "15",
    "WANDB__GRAPHQL_RETRY_MAX": "3",
    "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "5",
    "WANDB__FILE_STREAM_RETRY_MAX": "3",
    "WANDB__FILE_STREAM_RETRY_WAIT_MAX_SECONDS": "5",
    "WANDB__FILE_TRANSFER_RETRY_MAX": "3",
    "WANDB__FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "5",
}
"""A person waits for it; by itself, the library tries for a day."""
_ADDRESS = re.compile(r"https?://\S+/runs/\S+")
_UPLOADED = ("artifacts", "cache", "shelf", "tmp")


def sync(tracking: Tracking, emit: Emit, surroundings: Mapping[str, str] = os.environ) -> bool:
    """Upload every run of the folder that is not uploaded; a `tracked` event for each, a `warned` one where it fails.

    What failed stays as it was, to be tried again. The key comes from WANDB_API_KEY. Once all is uploaded, the copies
    of what was uploaded are cleared away; the runs' own files stay.

    Returns:
        Whether nothing is left to upload.
    """
    if not surroundings.get("WANDB_API_KEY"):
        emit(
            Warned(
                message="There is no key for W&B.", hint="Set WANDB_API_KEY in .env; wandb.ai/authorize shows yours."
            )
        )
        return False
    if not unsynced(tracking.folder):
        return True
    online = tracking.model_copy(update={"mode": "online", "folder": tracking.folder.absolute()})
    with uploading(online.folder) as alone:
        if not alone:
            emit(Warned(message="This clone is being trained.", hint="Sync when its training has ended."))
            return False
        done = [_sync_run(file, online, emit, surroundings) for file in unsynced(online.folder)]
        if not all(done):
            return False
        for folder in _UPLOADED:
            shutil.rmtree(online.folder / folder, ignore_errors=True)
    return True


def _sync_run(file: Path, tracking: Tracking, emit: Emit, surroundings: Mapping[str, str]) -> bool:
    """One file of a run, in a process whose folder is the tracking folder: the paths in the file are relative to it."""
    run_id = file.stem.removeprefix("run-")
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", "--project", tracking.project]
    if tracking.entity:
        command += ["--entity", tracking.entity]
    try:
        said = subprocess.run(
            [*command, str(file.relative_to(tracking.folder))],
            cwd=tracking.folder,
            env=environment(tracking, surroundings) | _PATIENCE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=RUN_WAIT_S,
            text=True,
        ).stdout
    except subprocess.TimeoutExpired:
        said = f"it was not done after {RUN_WAIT_S / 60:.0f} minutes"
    if is_synced(file):
        address = _ADDRESS.search(said)
        job_type: Literal["preprocess", "train"] = "preprocess" if run_id.endswith("-preprocess") else "train"
        emit(Tracked(job_type=job_type, run_id=run_id, url=address.group() if address else ""))
        return True
    why = next((line for line in said.splitlines() if "ERROR" in line), said.strip().rpartition("\n")[2])
    emit(
        Warned(
            message=f"W&B did not take the run {run_id}: {why.removeprefix('wandb: ').removeprefix('ERROR ')}",
            hint="It stays on disk; try again when W&B can be reached and takes your key.",
        )
    )
    return False
