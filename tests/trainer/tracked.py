"""A training of no model, told to a tracker as `trainer.finetune` tells a real one."""

from __future__ import annotations

from pathlib import Path

from tests.trainer.jobs import finetune_job
from trainer.protocol import Counted, Evaluated, FinetuneJob, Judged, Sample, Started, Step, Tracking
from trainer.report import Estimate, QualityReport
from trainer.tracking.tracker import Tracker

STEPS = 20
PATIENCE_S = 90.0
"""The tracking process takes what others leave of a busy machine."""
BASE_HASH = "ab" * 32
COUNTED = Counted(downloaded=5, reposts=1, short=1, kept=3, duplicates=0, characters=60, train=2, heldout=1)


def tracked_job(folder: Path, *, url: str = "", **changes: object) -> FinetuneJob:
    """A job with files that lie in `folder`; online where a server is given."""
    tracking = Tracking(
        mode="online" if url else "offline", project="huggingtweets", base_url=url, folder=folder / "tracking"
    )
    job = finetune_job(folder, folder / "models" / "gpt2", tracking=tracking, **changes)
    result = job.work_dir / "result"
    result.mkdir(parents=True)
    (job.work_dir / "corpus.jsonl").write_text('{"id": "1", "split": "train", "text": "a morning in the garden"}\n')
    (result / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 8)
    (result / "adapter_config.json").write_text("{}")
    return job


def tell_beginning(tracker: Tracker, job: FinetuneJob) -> None:
    started = Started(
        job_id=job.job_id, device="cpu", precision="fp32", base=job.base, base_hash=BASE_HASH, seed=job.seed
    )
    tracker.preprocessed(job.posts, job.work_dir / "corpus.jsonl", COUNTED)
    tracker.started(started, {"n_layer": 2, "id2label": {0: "a"}, "_name_or_path": job.base})
    tracker.tell(Evaluated(stage="before", step=0, bits_per_byte=2.5, posts=1))


def tell_steps(tracker: Tracker, first: int = 1, last: int = STEPS) -> None:
    for step in range(first, last + 1):
        event = Step(step=step, of=STEPS, loss=1 / step, learning_rate=0.1 / step, tokens_per_s=100.0, eta_s=1.0)
        tracker.tell(event)
        if step % 10 == 0:
            tracker.tell(Evaluated(stage="during", step=step, bits_per_byte=2.0, posts=1, best=True))
            for prompt in ("My dream is", "I think"):
                tracker.tell(Sample(step=step, prompt=prompt, text=f"{prompt} of step {step}"))


def tell_end(tracker: Tracker, job: FinetuneJob) -> None:
    bits = Estimate(value=1.5, low=1.4, high=1.6)
    report = QualityReport(heldout_posts=1, bits_per_byte_base=None, bits_per_byte=bits, samples=None)
    tracker.tell(Evaluated(stage="after", step=10, bits_per_byte=1.5, posts=1))
    tracker.tell(Judged(report=report))
    tracker.saved(job.work_dir / "result")


def tell_all(tracker: Tracker, job: FinetuneJob) -> None:
    tell_beginning(tracker, job)
    tell_steps(tracker)
    tell_end(tracker, job)
