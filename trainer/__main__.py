"""`python -m trainer`: one job on stdin, events on stdout, words for people on stderr.

Exit status 0: done, or checkpointed after SIGTERM. 1: a `failed` event says why.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from trainer.lifeline import Lifeline
from trainer.protocol import (
    JOB,
    AdoptJob,
    AnyJob,
    CardJob,
    EvaluateJob,
    ExportJob,
    Failed,
    FinetuneJob,
    JobFailed,
    PushJob,
    RerankJob,
    ScoreJob,
)
from trainer.stream import EventStream
from trainer.tokens import NAMES, read_token

LOCK_WAIT_S = 20.0


def main() -> int:
    """Do the one job that stdin names."""
    emit = EventStream(_take_stdout())
    try:
        job = JOB.validate_json(sys.stdin.readline())
    except ValidationError as error:
        places = ", ".join(".".join(str(part) for part in problem["loc"]) or "job" for problem in error.errors())
        hint = "The bot and the trainer must be of one version: set up this checkout anew."
        emit(Failed(kind="bad_job", message=f"The job cannot be read: {places}.", hint=hint))
        return 1
    lifeline = Lifeline(emit, job.parent_pid)
    lifeline.hold()
    try:
        _work(job, emit, lifeline)
    except JobFailed as failure:
        emit(Failed(kind=failure.kind, message=failure.message, hint=failure.hint))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever a library raises, the person has to hear of it
        traceback.print_exc()
        emit(_explain(error))
        return 1
    return 0


def _take_stdout() -> TextIO:
    """The real stdout for events alone: whatever else prints goes to stderr."""
    sys.stdout.flush()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


def _work(job: AnyJob, emit: EventStream, lifeline: Lifeline) -> None:
    """Torch is imported from here on, after the signal is held: threads inherit what is blocked."""
    if job.threads:
        os.environ["OMP_NUM_THREADS"] = str(job.threads)
    # OpenMP's threads spin while they wait for each other. For long, they take six times the processor time beside
    # another busy process; not at all, a step alone takes half as long again. This is in between.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # which a Hub of one's own does not speak
    if not isinstance(job, (CardJob, PushJob, RerankJob)):  # which load no model
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
    if job.device in ("auto", "cpu"):
        _step_back(job.nice)
    for name in NAMES:
        if token := read_token(name):
            os.environ[name] = token  # where the libraries look for it
    _do(job, emit, lifeline)


def _step_back(nice: int) -> None:
    """Let others go first. Linux shares out the processor among sessions before it looks at processes, and the trainer
    has a session of its own, so that the session has to step back too (sched(7), "The autogroup feature")."""
    mine = os.nice(nice)
    with suppress(OSError):  # no such thing here
        Path("/proc/self/autogroup").write_text(str(mine), "ascii")


def _do(job: AnyJob, emit: EventStream, lifeline: Lifeline) -> None:
    match job:
        case FinetuneJob():
            from trainer.finetune import finetune

            with _alone_in(job.work_dir):
                finetune(job, emit, lifeline)
        case EvaluateJob():
            from trainer.judge import evaluate_clone

            evaluate_clone(job, emit)
        case ExportJob():
            from trainer.export import export

            export(job, emit)
        case ScoreJob():
            from trainer.score import score

            score(job, emit)
        case CardJob():
            from trainer.card import write_card

            write_card(job, emit)
        case PushJob():
            from trainer.push import push

            push(job, emit)
        case AdoptJob():
            from trainer.adopt import adopt

            adopt(job, emit)
        case RerankJob():
            from trainer.rerank import rerank

            rerank(job, emit)


@contextmanager
def _alone_in(work_dir: Path) -> Iterator[None]:
    """One trainer a folder: the one before may still be writing its checkpoint when the bot starts anew."""
    work_dir.mkdir(parents=True, exist_ok=True)
    with (work_dir / "lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise JobFailed(
                        "internal", "Another trainer works in this job's folder.", "Wait for it to end, then try again."
                    ) from None
                time.sleep(0.1)
        yield


def _explain(error: Exception) -> Failed:
    """A library's error as the person is told it; the traceback went to stderr."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return Failed(
            kind="out_of_memory",
            message="The memory of this device does not hold the training.",
            hint="Close other programs, choose the recipe `mynah` (it trains adapters only), or a smaller base.",
        )
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if full or "no space left" in text or "file too large" in text:  # safetensors has the system's words, no errno
        return Failed(
            kind="disk_full",
            message="The disk is full, or takes no file as large as the training needs.",
            hint="Free some space; the training goes on from its last checkpoint when it is started again.",
        )
    return Failed(
        kind="internal",
        message=f"The trainer met an error that it does not know ({type(error).__name__}).",
        hint="The log holds the details; `mynah doctor` looks for what may cause it.",
    )


if __name__ == "__main__":
    sys.exit(main())
