"""`python -m trainer.tracking`: a job and lines on stdin, `tracked` and `warned` events on stdout.

`python -m trainer.tracking sync`: one `Tracking` on stdin, whose folder is uploaded; status 1 where something is left.

Exit status 0: all is told, or what could not be told was warned of. What it does not expect ends it with a traceback
on stderr, and the trainer warns.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from trainer.protocol import FinetuneJob, Tracking, Warned
from trainer.stream import Emit, EventStream
from trainer.tracking.lines import LINE, AnyLine, End
from trainer.tracking.surroundings import enter, writing
from trainer.tracking.sync import sync

CUT_OFF_WAIT_S = 10.0
"""What remains to be written is written in this time when the trainer has gone."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main() -> int:
    """Follow one training to its end, or upload a folder."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # the trainer blocks it, and children inherit that
    lines, emit = _take_pipes()
    if sys.argv[1:] == ["sync"]:
        return 0 if sync(Tracking.model_validate_json(next(lines)), emit) else 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)  # below the trainer, which on a CPU is low enough itself
    job = FinetuneJob.model_validate_json(next(lines))
    assert job.tracking is not None
    enter(job.tracking)
    with writing(Path()):
        _follow(job, lines, emit)
    return 0


def _follow(job: FinetuneJob, lines: Iterator[bytes], emit: Emit) -> None:
    """`wandb` is imported here, in its surroundings, and starts a process of its own in them."""
    import wandb

    from trainer.tracking.runs import GOES_ON, Runs, in_a_line

    assert job.tracking is not None
    runs = Runs(job, job.tracking, emit)
    warned: set[str] = set()

    def attempt(doing: Callable[[], None]) -> bool:
        """Do it, or warn, once for each reason; False where the disk is full, which is the training's before W&B's."""
        try:
            doing()
        except (wandb.Error, OSError, ValueError, TypeError, RuntimeError) as error:
            if (message := f"W&B met a problem: {in_a_line(error)}.") not in warned:
                warned.add(message)
                emit(Warned(message=message, hint=GOES_ON))
            return not (isinstance(error, OSError) and error.errno in _DISK_FULL)
        return True

    for line in _until_end(lines):
        if not attempt(partial(runs.take, line)):
            attempt(partial(runs.end, failed=True))
            break
    attempt(wandb.teardown)


def _until_end(lines: Iterator[bytes]) -> Iterator[AnyLine]:
    for said in lines:
        line = LINE.validate_json(said)
        yield line
        if isinstance(line, End):
            return
    limit = threading.Timer(CUT_OFF_WAIT_S, os._exit, [1])
    limit.daemon = True
    limit.start()
    yield End(failed=True)


def _take_pipes() -> tuple[BinaryIO, EventStream]:
    """Both pipes for ourselves: what `wandb` starts reads nothing, and what it prints goes to stderr."""
    lines = os.fdopen(os.dup(0), "rb")
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return lines, EventStream(said)


if __name__ == "__main__":
    sys.exit(main())
