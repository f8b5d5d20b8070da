"""How a job that cannot go on says so: one `failed` event for the person, status 1, nothing else on stdout."""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.trainer.jobs import QUICK_MYNAH, ROOT, Outcome, finetune_job, invented_posts, run, write_posts
from trainer.protocol import Counted, Failed, FinetuneJob

pytestmark = pytest.mark.timeout(300)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="another process's limits are set with Linux's prlimit")
GIB = 2**30


@dataclass(frozen=True)
class Case:
    """A job that has to fail, the limits it runs under, and how it should fail."""

    job: FinetuneJob
    kind: str
    limits: dict[int, int]


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path) -> dict[str, tuple[Outcome, float]]:
    """Every failing job's outcome and seconds, by the kind it should have; two at a time."""
    cases = [make(tmp_path_factory.mktemp("failing"), tiny_gpt2) for make in CASES]
    with ThreadPoolExecutor(2) as side_by_side:
        outcomes = side_by_side.map(run_timed, cases)
        return {case.kind: outcome for case, outcome in zip(cases, outcomes, strict=True)}


def run_timed(case: Case) -> tuple[Outcome, float]:
    before = time.monotonic()
    surroundings: dict[str, str] | None = {} if case.kind == "base_missing" else None  # it is to ask a Hub
    return run(case.job, environment=surroundings, limits=case.limits), time.monotonic() - before


def too_few_posts(folder: Path, base: Path) -> Case:
    write_posts(folder / "posts.jsonl", invented_posts(20))
    return Case(finetune_job(folder, base), "too_few_posts", {})


def base_missing(folder: Path, base: Path) -> Case:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    return Case(finetune_job(folder, Path("no/such-model"), hub_url=closed), "base_missing", {})


def diverged(folder: Path, base: Path) -> Case:
    recipe = QUICK_MYNAH.model_copy(update={"learning_rate": 1e30})
    return Case(finetune_job(folder, base, recipe=recipe), "diverged", {})


def disk_full(folder: Path, base: Path) -> Case:
    """A file system that takes 64 KiB a file; the checkpoint is larger."""
    recipe = QUICK_MYNAH.model_copy(update={"epochs": 1})
    return Case(finetune_job(folder, base, recipe=recipe), "disk_full", {resource.RLIMIT_FSIZE: 2**16})


def out_of_memory(folder: Path, base: Path) -> Case:
    """One row of all posts: its mask alone is larger than what the process may have."""
    write_posts(folder / "posts.jsonl", [" ".join(post.split() * 4) for post in invented_posts(4_000)])
    recipe = QUICK_MYNAH.model_copy(update={"row_tokens": 10**9, "heldout": False})
    return Case(finetune_job(folder, base, recipe=recipe), "out_of_memory", {resource.RLIMIT_AS: 16 * GIB})


CASES = (out_of_memory, too_few_posts, base_missing, diverged, disk_full)


@on_linux
@pytest.mark.parametrize("kind", [case.__name__ for case in CASES])
def test_failure_is_one_event_that_says_what_to_do(kind: str, failures: dict[str, tuple[Outcome, float]]) -> None:
    outcome, _ = failures[kind]
    failed = outcome.events[-1]
    assert isinstance(failed, Failed)
    assert (failed.kind, outcome.status) == (kind, 1), outcome.stderr
    assert failed.message.endswith(".")
    assert failed.hint.endswith(".")
    assert "Traceback" not in outcome.stdout
    assert len(outcome.all(Failed)) == 1


@on_linux
def test_too_few_posts_are_counted_before_they_are_refused(failures: dict[str, tuple[Outcome, float]]) -> None:
    outcome, _ = failures["too_few_posts"]
    assert [event.event for event in outcome.events] == ["counted", "failed"]
    counted = outcome.one(Counted)
    assert f"{counted.kept} kept with {counted.characters:,} characters" in outcome.one(Failed).message


@on_linux
def test_unreachable_hub_is_told_within_seconds(failures: dict[str, tuple[Outcome, float]]) -> None:
    outcome, seconds = failures["base_missing"]
    assert seconds < 90  # most of it starts Python and torch, on a busy machine
    failed = outcome.one(Failed)
    assert "no/such-model" in failed.message
    assert "smollm2-135m" in failed.hint


@on_linux
def test_divergence_names_the_step(failures: dict[str, tuple[Outcome, float]]) -> None:
    outcome, _ = failures["diverged"]
    assert re.search(r"at step \d of \d+:", outcome.one(Failed).message)


@on_linux
@pytest.mark.parametrize("kind", ["too_few_posts", "base_missing", "diverged"])
def test_expected_failure_leaves_no_traceback(kind: str, failures: dict[str, tuple[Outcome, float]]) -> None:
    outcome, _ = failures[kind]
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "job"),
        ("no JSON\n", "job"),
        ('{"task": "sing"}\n', "job"),
        (json.dumps({"task": "finetune", "version": 2}) + "\n", "finetune.version"),
        (json.dumps({"task": "finetune", "surprise": 1}) + "\n", "finetune.surprise"),
    ],
)
def test_unreadable_job_is_refused(text: str, named: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "trainer"], cwd=ROOT, input=text, capture_output=True, text=True, check=False
    )
    failed = Outcome(refused.returncode, refused.stdout, refused.stderr).one(Failed)
    assert (failed.kind, refused.returncode, refused.stderr) == ("bad_job", 1, "")
    assert named in failed.message
