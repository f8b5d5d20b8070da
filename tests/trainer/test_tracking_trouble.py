"""Whatever happens to W&B, a training is not held up: it is warned, and what was tracked stays on disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pydantic import JsonValue

from tests.servers.wandb import Mood, serving
from tests.trainer.jobs import ROOT, Recorder
from tests.trainer.tracked import PATIENCE_S, STEPS, tell_all, tell_beginning, tell_end, tell_steps, tracked_job
from tests.trainer.wandb_file import RunFile, runs_in
from trainer.protocol import FinetuneJob, Tracked, Warned
from trainer.tracking import tracker as tracking
from trainer.tracking.tracker import open_tracker

FEED_LIMIT_S = 2.0
"""For all lines of a training; they take milliseconds."""

FEED_AND_WAIT = """
import sys, time
from pathlib import Path
from tests.trainer.tracked import tell_beginning, tell_steps
from trainer.protocol import FinetuneJob
from trainer.tracking.tracker import open_tracker

job = FinetuneJob.model_validate_json(sys.stdin.readline())
tracker = open_tracker(job, lambda event: print(event.event, flush=True))
tell_beginning(tracker, job)
tell_steps(tracker, last=12)
time.sleep(600)
"""


pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)


def feed(job: FinetuneJob, recorder: Recorder, patience_s: float = PATIENCE_S) -> float:
    """Tell all; how long the training was held up by it, in seconds, its end left out."""
    with open_tracker(job, recorder, patience_s=patience_s) as tracker:
        start = time.monotonic()
        tell_all(tracker, job)
        return time.monotonic() - start


def tracking_folder(job: FinetuneJob) -> Path:
    assert job.tracking is not None
    return job.tracking.folder


def warnings(recorder: Recorder) -> list[str]:
    return [event.message for event in recorder.events if isinstance(event, Warned)]


def steps_on_disk(job: FinetuneJob) -> set[JsonValue]:
    (train,) = (run for run in runs_in(tracking_folder(job)) if run.id.endswith("-train"))
    return steps_in(train)


def steps_in(run: RunFile) -> set[JsonValue]:
    return {row["_step"] for row in run.rows if "loss" in row}


def tracking_processes(of: psutil.Process | None = None) -> list[psutil.Process]:
    """The tracker's and W&B's, of this process or another; warm trainers of other tests live here too."""
    found = []
    for child in (of or psutil.Process()).children(recursive=True):
        if any(name in _words(child) for name in ("trainer.tracking", "wandb-core")):
            found.append(child)
    return found


def process_named(name: str) -> psutil.Process:
    """The only one of that name; for a moment, what it starts bears its name too."""
    found: list[psutil.Process] = []

    def is_alone() -> bool:
        found[:] = [child for child in tracking_processes() if name in _words(child)]
        return len(found) == 1

    wait_for(is_alone)
    return found[0]


def _words(process: psutil.Process) -> str:
    with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def both_runs_are_open(recorder: Recorder) -> bool:
    return sum(isinstance(event, Tracked) for event in recorder.events) == 2


@pytest.mark.parametrize("mood", [401, 403])
def test_refused_it_is_tracked_on_disk(tmp_path: Path, mood: Mood) -> None:
    recorder = Recorder()
    with serving(mood) as server:
        job = tracked_job(tmp_path, url=server.url)
        assert feed(job, recorder) < FEED_LIMIT_S
    (warning,) = warnings(recorder)
    assert f"error {mood}" in warning
    assert both_runs_are_open(recorder)
    written = [run for run in runs_in(tracking_folder(job)) if "offline-run" in str(run.path)]
    assert [run.id for run in written] == [f"{job.job_id}-preprocess", f"{job.job_id}-train"]
    assert steps_in(written[1]) == set(range(1, STEPS + 1))


def test_unreachable_it_is_tracked_on_disk(tmp_path: Path) -> None:
    with serving() as server:
        nobody_there = server.url
    job, recorder = tracked_job(tmp_path, url=nobody_there), Recorder()
    assert feed(job, recorder) < FEED_LIMIT_S
    assert len(warnings(recorder)) == 1
    assert [event.url for event in recorder.events if isinstance(event, Tracked)] == ["", ""]


@pytest.mark.parametrize("mood", ["hangs", "drops", 500])
def test_what_takes_too_long_is_left(tmp_path: Path, mood: Mood) -> None:
    recorder = Recorder()
    start = time.monotonic()
    with serving(mood) as server:
        assert feed(tracked_job(tmp_path, url=server.url), recorder, patience_s=3.0) < FEED_LIMIT_S
        assert time.monotonic() - start < 3.0 + FEED_LIMIT_S + 5.0
    assert warnings(recorder) == ["W&B was not done after 3 seconds, and was left."]
    wait_for(lambda: not tracking_processes())


def test_down_in_the_middle_what_was_tracked_stays_on_disk(tmp_path: Path) -> None:
    recorder = Recorder()
    with serving() as server:
        job = tracked_job(tmp_path, url=server.url)
        with open_tracker(job, recorder, patience_s=10.0) as tracker:
            tell_beginning(tracker, job)
            wait_for(lambda: both_runs_are_open(recorder))
            server.mood = "hangs"
            tell_steps(tracker)
            tell_end(tracker, job)
            wait_for(lambda: steps_on_disk(job) >= set(range(1, STEPS)))
    assert len(warnings(recorder)) == 1
    assert steps_on_disk(job) == set(range(1, STEPS + 1))


@pytest.mark.parametrize("victim", ["wandb-core", "trainer.tracking"])
def test_killed_the_training_goes_on(tmp_path: Path, victim: str) -> None:
    job, recorder = tracked_job(tmp_path), Recorder()
    with open_tracker(job, recorder, patience_s=PATIENCE_S) as tracker:
        tell_beginning(tracker, job)
        wait_for(lambda: both_runs_are_open(recorder))
        process_named(victim).send_signal(signal.SIGKILL)
        start = time.monotonic()
        tell_steps(tracker)
        tell_end(tracker, job)
        assert time.monotonic() - start < FEED_LIMIT_S
    assert warnings(recorder)
    wait_for(lambda: not tracking_processes())


def test_stopped_steps_are_left_out_rather_than_piled_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "MOST_WAITING", 50)
    job, recorder = tracked_job(tmp_path), Recorder()
    with open_tracker(job, recorder, patience_s=2.0) as tracker:
        tell_beginning(tracker, job)
        wait_for(lambda: both_runs_are_open(recorder))
        process = process_named("trainer.tracking")
        process.suspend()
        start = time.monotonic()
        for _ in range(500):
            tell_steps(tracker, last=9)
        assert time.monotonic() - start < 5 * FEED_LIMIT_S
        assert tracker._feed is not None
        assert tracker._feed._waiting.qsize() <= 50
    assert warnings(recorder) == ["W&B was not done after 2 seconds, and was left."]


@pytest.mark.parametrize("largest_file_bytes", [0, 300, 2_000])
def test_a_full_disk_costs_a_warning(tmp_path: Path, largest_file_bytes: int) -> None:
    """No file of the tracking process may grow beyond so much."""
    job, recorder = tracked_job(tmp_path), Recorder()
    with open_tracker(job, recorder, patience_s=PATIENCE_S) as tracker:
        resource.prlimit(
            process_named("trainer.tracking").pid, resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes)
        )
        tell_all(tracker, job)
    assert warnings(recorder)
    assert all(len(warning) < 300 for warning in warnings(recorder))


def test_a_folder_that_cannot_be_made_costs_a_warning(tmp_path: Path) -> None:
    job, recorder = tracked_job(tmp_path), Recorder()
    tracking_folder(job).write_text("a file stands in its place")
    with open_tracker(job, recorder, patience_s=PATIENCE_S) as tracker:
        tell_all(tracker, job)
    assert warnings(recorder) == ["This training is not tracked: File exists."]


def test_it_ends_with_the_trainer_and_keeps_what_it_was_told(tmp_path: Path) -> None:
    job = tracked_job(tmp_path)
    trainer = subprocess.Popen(
        [sys.executable, "-c", FEED_AND_WAIT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert trainer.stdin is not None
    assert trainer.stdout is not None
    with trainer.stdin, trainer.stdout:
        trainer.stdin.write(job.model_dump_json() + "\n")
        trainer.stdin.flush()
        assert [trainer.stdout.readline().strip() for _ in range(2)] == ["tracked", "tracked"]
        # Now and then W&B asks the system something by a third one, for a moment.
        wait_for(lambda: len(psutil.Process(trainer.pid).children(recursive=True)) == 2)
        children = psutil.Process(trainer.pid).children(recursive=True)
        trainer.kill()
        trainer.wait()
    wait_for(lambda: not any(is_alive(child) for child in children))
    assert steps_on_disk(job) == set(range(1, 13))
