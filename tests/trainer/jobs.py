"""Jobs small enough for a test, and the trainer as the process that it is."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TypeVar

from transformers import PreTrainedTokenizerBase

from tests.warm import READ_ANEW, TRAINERS, WarmProcess, warm
from trainer import epochs
from trainer.corpus import CleanPost
from trainer.packing import Row, training_rows
from trainer.protocol import EVENT, AnyEvent, AnyJob, FinetuneJob
from trainer.recipes import HUGGINGTWEETS, MYNAH, Recipe

ROOT = Path(__file__).resolve().parents[2]
RUN_LIMIT_S = 120

PEFT_WARNING = "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
"""peft 0.21 reads a property that transformers 5.24 renamed."""

QUICK_MYNAH = MYNAH.model_copy(
    update={
        "row_tokens": 64,
        "epochs": 3,
        "learning_rate": 2e-3,
        "warmup": 0.0,
        "rank": 16,
        "alpha": 32,
        "evaluations": 5,
        "patience": 0,
    }
)
"""Its losses are pinned, so what the product's own recipe may yet tune is said here."""

QUICK_HUGGINGTWEETS = HUGGINGTWEETS.model_copy(update={"block_tokens": 64})

_WORDS = """
the a my your sea cat coffee morning garden people weather kind house dream think best good neighbours second small
year is was and of to in that never always maybe somebody will not
"""
_FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)

E = TypeVar("E", bound=AnyEvent)


@dataclass(frozen=True)
class Outcome:
    """What a trainer left when it ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[AnyEvent]:
        """Every line of stdout; one that is no event is an error."""
        return [EVENT.validate_json(line) for line in self.stdout.splitlines()]

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        (event,) = self.all(kind)
        return event


def rows_of(posts: Sequence[str], tokenizer: PreTrainedTokenizerBase, recipe: Recipe, seed: int) -> list[Row]:
    """The optimizer steps of one person's training."""
    order = random.Random(seed)
    heard = epochs.of_one([CleanPost(str(number), post) for number, post in enumerate(posts)], recipe, order)
    return training_rows([[post.text for post in epoch] for epoch in heard], tokenizer, recipe, order)


class Recorder:
    """Keeps what is said, for parts of the trainer that run in this process."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def __call__(self, event: AnyEvent) -> None:
        self.events.append(event)


@dataclass(frozen=True)
class Training:
    """A finished training."""

    job: FinetuneJob
    outcome: Outcome

    @property
    def result(self) -> Path:
        return self.job.work_dir / "result"

    def bytes_of(self, name: str) -> bytes:
        return (self.result / name).read_bytes()


class Trainer:
    """A trainer at work on a job."""

    def __init__(self, process: subprocess.Popen[str] | WarmProcess, stdout: IO[str], stderr: IO[str]) -> None:
        self._process = process
        self._stdout = stdout
        self._stderr = stderr
        self._heard: list[str] = []

    def hear(self, kind: type[E]) -> E:
        """Wait for its next event of a kind."""
        for line in self._stdout:
            self._heard.append(line)
            event = EVENT.validate_json(line)
            if isinstance(event, kind):
                return event
        raise AssertionError(f"The trainer ended without {kind.__name__}.")

    def send(self, signal: int) -> None:
        self._process.send_signal(signal)

    def end(self, within_s: float = RUN_LIMIT_S) -> Outcome:
        """Wait for its end; one that takes longer is killed, and its status tells."""
        limit = threading.Timer(within_s, self._process.kill)
        limit.start()
        rest = self._stdout.read()
        status = self._process.wait()
        limit.cancel()
        self._stderr.seek(0)
        return Outcome(status, "".join(self._heard) + rest, self._stderr.read())


@contextmanager
def started(
    job: AnyJob, *, environment: Mapping[str, str] | None = None, limits: Mapping[int, int] | None = None
) -> Iterator[Trainer]:
    """`python -m trainer` with the job on its stdin, under `resource` limits; it does not outlive the block.

    It is a warm one (tests/warm.py), kept from every Hub, unless its environment asks for more than that can be told.
    """
    told = {"HF_HUB_OFFLINE": "1"} if environment is None else environment
    is_warm = job.threads == 1 and sys.platform == "linux" and told.keys() <= {*READ_ANEW}
    with (
        TemporaryFile("w+", encoding="utf-8") as stderr,
        warm(TRAINERS).trainer(stderr, told) if is_warm else _cold(environment or {}, stderr) as (
            process,
            stdin,
            stdout,
        ),
    ):
        for limited, limit in (limits or {}).items():
            resource.prlimit(process.pid, limited, (limit, limit))
        stdin.write(job.model_dump_json() + "\n")
        stdin.close()
        yield Trainer(process, stdout, stderr)


@contextmanager
def _cold(environment: Mapping[str, str], stderr: IO[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    command = [sys.executable, "-m", "trainer"]
    surroundings = {**os.environ, **environment}
    with subprocess.Popen(
        command, cwd=ROOT, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process, process.stdin, process.stdout
        finally:
            process.kill()


def run(
    job: AnyJob, *, environment: Mapping[str, str] | None = None, limits: Mapping[int, int] | None = None
) -> Outcome:
    """Let the trainer do a job to its end."""
    with started(job, environment=environment, limits=limits) as trainer:
        return trainer.end()


def finetune_job(folder: Path, base: Path, **changes: object) -> FinetuneJob:
    """A training of seconds on one thread, reproducible to the bit, with its files in `folder`."""
    settings: dict[str, object] = {
        "job_id": "test",
        "base": str(base),
        "cache_dir": folder / "cache",
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "nice": 0,
        "persona": "somebody",
        "posts": folder / "posts.jsonl",
        "work_dir": folder / "work",
        "recipe": QUICK_MYNAH,
        "seed": 7,
        "judged_samples": 20,
    }
    job = FinetuneJob.model_validate({**settings, **changes})
    if not job.posts.exists():
        write_posts(job.posts, invented_posts(300))
    return job


def invented_posts(count: int) -> list[str]:
    """So many posts of random words, the same ones every time."""
    order = random.Random(1)
    words = _WORDS.split()
    return [" ".join(order.choices(words, k=order.randint(5, 14))) for _ in range(count)]


def write_posts(path: Path, texts: list[str], person: str = "") -> None:
    """A job's posts file: one post a minute, oldest first; those of another person are added to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a" if person else "w", encoding="utf-8") as lines:
        for number, text in enumerate(texts):
            when = _FIRST_DAY + timedelta(minutes=number)
            post = {"id": f"{person}{number}", "created_at": when.isoformat(), "text": text, "kind": "post"}
            if person:
                post["person"] = person
            lines.write(json.dumps(post) + "\n")
