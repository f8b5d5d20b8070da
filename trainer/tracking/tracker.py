"""The trainer's side of tracking: it puts into a queue, and a thread and another process do the rest.

No method raises or waits for W&B, except `close`, which waits for a bounded time. The tracking process is lower in
priority than the trainer, sees none of its secrets but the W&B key, and ends when the trainer does.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import BaseModel, ValidationError

from trainer.protocol import EVENT, AnyEvent, Counted, FinetuneJob, Started, Step, Warned
from trainer.stream import Emit
from trainer.tracking.lines import Begun, End, Preprocessed, Result, Told
from trainer.tracking.surroundings import environment

MOST_WAITING = 10_000
"""Lines that may wait for a slow tracking process; beyond, steps are left out."""
PATIENCE_S = {"offline": 30.0, "online": 60.0}
"""How long the end of a training waits for its tracking; online, the weights are uploaded in this time."""
_EXIT_S = 2.0


def open_tracker(job: FinetuneJob, emit: Emit, *, patience_s: float | None = None) -> Tracker:
    """A tracker for the job; where it asks for none, or none can be started, one that does nothing.

    `patience_s` is how long its `close` may take, where that is not by the mode.
    """
    if job.tracking is None:
        return Tracker(None)
    try:
        job.tracking.folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer.tracking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(job.tracking),
        )
    except OSError as error:
        emit(Warned(message=f"This training is not tracked: {error.strerror}.", hint="The training goes on without."))
        return Tracker(None)
    return Tracker(_Feed(process, job, emit, patience_s or PATIENCE_S[job.tracking.mode]))


class Tracker:
    """Tells W&B about one training. As a context manager, it closes itself, and says whether the training failed."""

    def __init__(self, feed: _Feed | None) -> None:
        self._feed = feed

    def preprocessed(self, posts: Path, corpus: Path, counted: Counted) -> None:
        """The run `@{h}-preprocess`: `posts` are used, and `corpus` is made of them."""
        self._put(Preprocessed(posts=posts.absolute(), corpus=corpus.absolute(), counted=counted))

    def started(self, started: Started, architecture: Mapping[str, object]) -> None:
        """The run `@{h}-train` begins. `architecture` is the model's configuration (`model.config.to_dict()`)."""
        plain = json.loads(json.dumps(dict(architecture), default=str))  # a dtype is no JSON, nor is a number as a key
        self._put(Begun(started=started, architecture=plain))

    def tell(self, event: AnyEvent) -> None:
        """Figures and samples of the training; events without any are passed over."""
        self._put(Told(event=event))

    def saved(self, folder: Path) -> None:
        """The finished weights. The folder's files may go, but must not change, once this training is closed."""
        self._put(Result(folder=folder.absolute()))

    def close(self, *, failed: bool = False) -> None:
        """Wait until all is written, or as long as that may take; what is left undone is warned of."""
        if self._feed is not None:
            self._feed.close(End(failed=failed))
            self._feed = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(failed=kind is not None)

    def _put(self, line: BaseModel) -> None:
        if self._feed is not None:
            self._feed.put(line)


class _Feed:
    """Two threads between the trainer and the tracking process: one writes what waits, one says what comes back."""

    def __init__(self, process: subprocess.Popen[bytes], job: FinetuneJob, emit: Emit, patience_s: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._emit = emit
        self._patience_s = patience_s
        self._waiting: queue.SimpleQueue[BaseModel] = queue.SimpleQueue()
        self._gone = threading.Event()
        self._given_up = threading.Event()
        self._waiting.put(job)
        threading.Thread(target=self._write, args=(process.stdin,), name="tracking-in", daemon=True).start()
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), name="tracking-out", daemon=True)
        self._reader.start()

    def put(self, line: BaseModel) -> None:
        if self._gone.is_set():
            return
        if isinstance(line, Told) and isinstance(line.event, Step) and self._waiting.qsize() >= MOST_WAITING:
            return
        self._waiting.put(line)

    def close(self, end: End) -> None:
        self._waiting.put(end)
        self._reader.join(self._patience_s)
        if not self._reader.is_alive():
            return
        self._given_up.set()
        self._process.kill()  # wandb's own process sees that its parent is gone, and ends too
        self._reader.join(_EXIT_S)
        self._emit(
            Warned(
                message=f"W&B was not done after {self._patience_s:.0f} seconds, and was left.",
                hint="What it wrote stays on disk; `mynah wandb sync` uploads it.",
            )
        )

    def _write(self, stdin: IO[bytes]) -> None:
        try:
            with stdin:
                while True:
                    line = self._waiting.get()
                    stdin.write(line.model_dump_json().encode() + b"\n")
                    if self._waiting.empty() or isinstance(line, End):
                        stdin.flush()
                    if isinstance(line, End):
                        return
        except BrokenPipeError:
            self._gone.set()  # the reader says so

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            for said in stdout:
                try:
                    self._emit(EVENT.validate_json(said))
                except ValidationError:
                    continue  # cut off in the middle of a line, as it died
        status = self._process.wait()
        self._gone.set()
        if status and not self._given_up.is_set():
            self._emit(
                Warned(
                    message=f"The tracking of this training ended before the training did (status {status}).",
                    hint="The training goes on; what was tracked until then stays on disk.",
                )
            )
