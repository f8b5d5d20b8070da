"""What was written offline goes to W&B later, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.servers.wandb import WandbServer, serving
from tests.trainer.jobs import ROOT, Recorder
from tests.trainer.tracked import PATIENCE_S, STEPS, tell_all, tell_beginning, tell_steps, tracked_job
from trainer.protocol import EVENT, FinetuneJob, Tracked, Tracking, Warned
from trainer.tracking.sync import sync
from trainer.tracking.tracker import open_tracker

pytestmark = pytest.mark.timeout(300)

KEY = {"PATH": "/usr/bin:/bin", "WANDB_API_KEY": "k" * 40, "HF_TOKEN": "marker-hub"}
NAMES = ["tweets-somebody", "dataset-somebody", "dataset-somebody", "gpt2", "somebody", "run-test-train-examples"]


@pytest.fixture
def job(tmp_path: Path) -> FinetuneJob:
    """A training that was tracked offline."""
    job = tracked_job(tmp_path)
    with open_tracker(job, Recorder(), patience_s=PATIENCE_S) as tracker:
        tell_all(tracker, job)
    return job


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def at(server: WandbServer, job: FinetuneJob) -> Tracking:
    assert job.tracking is not None
    return job.tracking.model_copy(update={"base_url": server.url})


def names_at(server: WandbServer) -> list[str]:
    """Of the artifacts that arrived; several at a time do."""
    return sorted(str(artifact["artifactCollectionName"]) for artifact in server.artifacts)


def upload(server: WandbServer, job: FinetuneJob, surroundings: Mapping[str, str] = KEY) -> tuple[bool, Recorder]:
    recorder = Recorder()
    return sync(at(server, job), recorder, surroundings), recorder


def test_runs_and_artifacts_arrive_as_they_were_written(job: FinetuneJob) -> None:
    with serving() as server:
        done, recorder = upload(server, job)
    assert done
    assert [event.model_dump() for event in recorder.events] == [
        Tracked(
            job_type=kind, run_id=f"test-{kind}", url=f"{server.url}/me/huggingtweets/runs/test-{kind}"
        ).model_dump()
        for kind in ("preprocess", "train")
    ]
    assert names_at(server) == sorted(NAMES)
    assert len(server.used) == 3
    assert [run["displayName"] for run in server.runs.values()] == ["@somebody-preprocess", "@somebody-train"]
    steps = [json.loads(line)["_step"] for line in server.metrics["test-train"]]
    assert steps == list(range(STEPS + 2))
    assert (job.work_dir / "result" / "adapter_model.safetensors").read_bytes() in server.files.values()
    assert not server.unknown


def test_the_server_learns_neither_this_machine_nor_its_other_secrets(job: FinetuneJob) -> None:
    with serving() as server:
        upload(server, job)
    said = json.dumps([server.runs, server.artifacts, server.used]) + repr(list(server.files.values()))
    assert str(job.work_dir.parent) not in said
    assert "marker" not in said
    assert {run["host"] for run in server.runs.values() if "host" in run} <= {"mynah"}


def test_a_second_time_there_is_nothing_left(job: FinetuneJob) -> None:
    with serving() as server:
        upload(server, job)
        asked = server.asked
        assert upload(server, job)[0]
        assert server.asked == asked


def test_once_uploaded_the_copies_are_cleared_away(job: FinetuneJob) -> None:
    with serving() as server:
        upload(server, job)
    assert job.tracking is not None
    assert not list(job.tracking.folder.rglob("adapter_model.safetensors"))
    assert (job.work_dir / "result" / "adapter_model.safetensors").exists()


def test_what_is_refused_stays_and_can_be_tried_again(job: FinetuneJob) -> None:
    with serving(401) as server:
        done, recorder = upload(server, job)
        assert not done
        assert all(isinstance(event, Warned) and "error 401" in event.message for event in recorder.events)
        server.mood = "well"
        assert upload(server, job)[0]
    assert names_at(server) == sorted(NAMES)


def test_a_folder_that_was_moved_can_still_be_uploaded(job: FinetuneJob, tmp_path: Path) -> None:
    assert job.tracking is not None
    moved = job.tracking.folder.rename(tmp_path / "elsewhere")
    with serving() as server:
        assert sync(at(server, job).model_copy(update={"folder": moved}), Recorder(), KEY)
    assert names_at(server) == sorted(NAMES)


def test_online_uploads_as_it_goes_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY["WANDB_API_KEY"])
    recorder = Recorder()
    with serving() as server:
        job = tracked_job(tmp_path, url=server.url)
        with open_tracker(job, recorder, patience_s=PATIENCE_S) as tracker:
            tell_all(tracker, job)
        asked = server.asked
        assert upload(server, job)[0]
        assert server.asked == asked
    assert [event.url for event in recorder.events if isinstance(event, Tracked)] == [
        f"{server.url}/me/huggingtweets/runs/test-{kind}" for kind in ("preprocess", "train")
    ]
    assert names_at(server) == sorted(NAMES)
    assert len(server.metrics["test-train"]) == STEPS + 2


def test_without_a_key_it_says_where_to_get_one(job: FinetuneJob) -> None:
    with serving() as server:
        done, recorder = upload(server, job, surroundings={})
    assert not done
    assert [event.message for event in recorder.events if isinstance(event, Warned)] == ["There is no key for W&B."]
    assert not server.asked


def test_a_training_under_way_is_not_uploaded_half(tmp_path: Path) -> None:
    job = tracked_job(tmp_path)
    started = Recorder()
    with serving() as server, open_tracker(job, started, patience_s=PATIENCE_S) as tracker:
        tell_beginning(tracker, job)
        tell_steps(tracker)
        wait_for(lambda: len(started.events) == 2)
        done, recorder = upload(server, job)
        assert not done
        assert [event.message for event in recorder.events if isinstance(event, Warned)] == [
            "This clone is being trained."
        ]


def test_it_is_a_process_of_its_own_for_the_bot(job: FinetuneJob) -> None:
    with serving() as server:
        finished = subprocess.run(
            [sys.executable, "-m", "trainer.tracking", "sync"],
            cwd=ROOT,
            env=KEY,
            input=at(server, job).model_dump_json() + "\n",
            capture_output=True,
            text=True,
        )
    assert finished.returncode == 0
    assert [type(EVENT.validate_json(line)) for line in finished.stdout.splitlines()] == [Tracked, Tracked]
