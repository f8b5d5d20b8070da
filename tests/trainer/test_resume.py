"""A training that is cut, however, goes on where it was and ends as if it had not been: the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch

from tests.trainer.jobs import (
    QUICK_HUGGINGTWEETS,
    ROOT,
    Outcome,
    Training,
    finetune_job,
    run,
    started,
)
from trainer import checkpoint
from trainer.protocol import Evaluated, FinetuneJob, Finished, Sample, Saved, Started, Step

pytestmark = pytest.mark.timeout(300)

SIGTERM_LEAVES_S = 10.0

PARENT_THAT_WAITS = """
import os, subprocess, sys, time
job = sys.stdin.read().replace('"parent_pid":0', f'"parent_pid":{os.getpid()}')
child = subprocess.Popen([sys.executable, "-m", "trainer"], stdin=subprocess.PIPE, text=True)
child.stdin.write(job)
child.stdin.close()
print(child.pid, file=sys.stderr, flush=True)
time.sleep(600)
"""


@dataclass(frozen=True)
class CutTraining:
    """One training in several processes: the outcomes of those that were cut, and of the last."""

    job: FinetuneJob
    cut: list[Outcome]
    last: Outcome

    def result(self, name: str) -> bytes:
        return (self.job.work_dir / "result" / name).read_bytes()


@dataclass(frozen=True)
class CutTrainings:
    lora: CutTraining
    full: CutTraining


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, tiny_gpt2: Path) -> CutTrainings:
    """Both trainings of conftest.py again, cut on the way, side by side."""
    lora_job = finetune_job(tmp_path_factory.mktemp("lora"), tiny_llama)
    full_job = finetune_job(tmp_path_factory.mktemp("full"), tiny_gpt2, recipe=QUICK_HUGGINGTWEETS)
    with ThreadPoolExecutor(2) as side_by_side:
        lora, full = side_by_side.submit(cut_lora, lora_job), side_by_side.submit(cut_full, full_job)
        return CutTrainings(lora.result(), full.result())


def cut_lora(job: FinetuneJob) -> CutTraining:
    """SIGTERM between a step and its evaluation, then `kill -9` further on."""
    with started(job) as trainer:
        trainer.hear(Sample)
        trainer.send(signal.SIGTERM)
        terminated = trainer.end(SIGTERM_LEAVES_S)
    with started(job) as trainer:
        trainer.hear(Step)
        trainer.send(signal.SIGKILL)
        killed = trainer.end()
    return CutTraining(job, [terminated, killed], run(job))


def cut_full(job: FinetuneJob) -> CutTraining:
    """SIGTERM in the middle of a step, whose dropout has drawn its numbers already."""
    with started(job) as trainer:
        trainer.hear(Step)
        trainer.send(signal.SIGTERM)
        terminated = trainer.end(SIGTERM_LEAVES_S)
    return CutTraining(job, [terminated], run(job))


@pytest.mark.parametrize("name", ["lora", "full"])
def test_sigterm_leaves_a_checkpoint_and_status_0_in_time(name: str, cut: CutTrainings) -> None:
    training: CutTraining = getattr(cut, name)
    terminated = training.cut[0]
    assert terminated.status == 0, terminated.stderr
    finished = terminated.events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "checkpointed"
    assert 0 < finished.step < terminated.all(Step)[0].of
    assert terminated.all(Saved) == []


@pytest.mark.parametrize("name", ["lora", "full"])
def test_same_job_goes_on_from_its_checkpoint(name: str, cut: CutTrainings) -> None:
    training: CutTraining = getattr(cut, name)
    checkpointed = training.cut[0].one(Finished).step
    assert training.last.status == 0, training.last.stderr
    assert training.last.one(Started).resumed_at_step == checkpointed
    assert training.last.all(Step)[0].step > checkpointed
    assert training.last.one(Finished).reason == "completed"


def test_kill_9_costs_no_more_than_what_came_after_the_checkpoint(cut: CutTrainings) -> None:
    terminated, killed = cut.lora.cut
    assert killed.status == -signal.SIGKILL
    assert killed.one(Started).resumed_at_step == terminated.one(Finished).step
    assert cut.lora.last.one(Started).resumed_at_step == terminated.one(Finished).step


def test_cut_adapter_is_the_unbroken_one_to_the_bit(cut: CutTrainings, lora_training: Training) -> None:
    name = "adapter_model.safetensors"
    assert cut.lora.result(name) == lora_training.bytes_of(name)


def test_cut_full_model_is_the_unbroken_one_to_the_bit(cut: CutTrainings, full_training: Training) -> None:
    name = "model.safetensors"
    assert cut.full.result(name) == full_training.bytes_of(name)


def test_no_evaluation_is_lost_to_the_cut(cut: CutTrainings, lora_training: Training) -> None:
    looks = [look for look in cut.lora.cut[0].all(Evaluated) + cut.lora.last.all(Evaluated) if look.stage == "during"]
    unbroken = [look for look in lora_training.outcome.all(Evaluated) if look.stage == "during"]
    assert looks == unbroken


def test_finished_job_answers_at_once_with_the_same_files(lora_training: Training) -> None:
    before = (lora_training.result / "adapter_model.safetensors").stat().st_mtime_ns
    again = run(lora_training.job)
    assert again.status == 0, again.stderr
    told = ["counted", "started", "evaluated", "evaluated", "judged", "saved", "finished"]
    assert [event.event for event in again.events] == told
    assert again.one(Saved) == lora_training.outcome.one(Saved)
    assert again.one(Finished) == lora_training.outcome.one(Finished)
    assert (lora_training.result / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_trainer_does_not_outlive_its_parent(tmp_path: Path, tiny_gpt2: Path) -> None:
    job = finetune_job(tmp_path, tiny_gpt2, recipe=QUICK_HUGGINGTWEETS.model_copy(update={"epochs": 200}))
    with subprocess.Popen(
        [sys.executable, "-c", PARENT_THAT_WAITS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stderr is not None
        parent.stdin.write(job.model_dump_json() + "\n")
        parent.stdin.close()
        child = psutil.Process(int(parent.stderr.readline()))
        try:
            assert any('"event":"step"' in line for line in iter(parent.stdout.readline, ""))
            parent.kill()
            parent.wait()
            assert ended(child, within_s=SIGTERM_LEAVES_S)
        finally:
            parent.kill()
            if not ended(child, within_s=0):
                child.kill()
    assert (job.work_dir / checkpoint.NAME).is_file()


def ended(process: psutil.Process, *, within_s: float) -> bool:
    """Whether it is gone; a zombie that nobody buries is."""
    return wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, within_s)


def wait_until(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def fresh_state(fingerprint: str) -> checkpoint.State:
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.AdamW([weight])
    return checkpoint.State({"weight": weight}, optimizer, checkpoint.Progress(fingerprint=fingerprint))


def test_checkpoint_of_another_job_is_not_taken_up(tmp_path: Path) -> None:
    state = fresh_state("one job")
    state.progress.step = 3
    checkpoint.save(state, tmp_path)
    assert not checkpoint.load(fresh_state("another job"), tmp_path)
    taken_up = fresh_state("one job")
    assert checkpoint.load(taken_up, tmp_path)
    assert taken_up.progress.step == 3


def test_broken_checkpoint_is_passed_over(tmp_path: Path) -> None:
    checkpoint.save(fresh_state("one job"), tmp_path)
    path = tmp_path / checkpoint.NAME
    path.write_bytes(path.read_bytes()[:-4])
    assert not checkpoint.load(fresh_state("one job"), tmp_path)
