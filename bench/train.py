"""`make bench-train`: the trainer beside transformers.Trainer on the same posts, and where its own time goes.

Three people's newest 1,000 kept posts. (a) `trainer`: huggingtweets' recipe in transformers.Trainer, fp32; (b)
`trainer-advised`: the same with what its documentation advises for this processor, mixed precision where it multiplies
bf16, else torch.compile; (c) `peft`: LoRA on all linear layers in Trainer, in the precision that is quickest here,
eight posts a batch, one epoch; (d) `mynah`: this trainer, as the bot starts it.
They learn from the same posts and are looked at on the same held-out posts. What is compared is the time from the
start of the process to the best held-out bits per byte that (a) ever has; looks do not count into anybody's time, since
they are the bench's. Between two looks, bits per byte are taken to fall evenly, for everybody. Mynah trains before the
others as it does for a person, which says what it ends with, and after them looked at as often as they are, which says
when. Each training's outcome is kept under bench/results/train, so that a bench that was ended goes on. `python -m
bench.train HANDLE…` takes other people.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from pydantic import BaseModel

from bench import quality
from bench.report import MB, QUICK, REPOSITORY, RESULTS, Figure, Report, at_most
from trainer.catalog import SMOLLM2
from trainer.device import choose
from trainer.protocol import EVENT, Counted, Evaluated, FinetuneJob, Saved, Step
from trainer.recipes import MYNAH

PEOPLE = ("andreruffert",) if QUICK else ("andreruffert", "dril", "elonmusk")
PEERS = ("trainer", "trainer-advised", "peft")
AS_SHIPPED, WATCHED = "mynah", "mynah-watched"
"""Mynah looks five times, and is as good as the recipe's best before the first; the peers are looked at 16 times."""
WATCHED_RECIPE = MYNAH.model_copy(update={"evaluations": 16, "patience": 0})
LUCK = 0.001
"""Bits per byte by which a training differs for how sums are rounded: compiled, it may miss what it reached."""
QUICK_POSTS = 80
WORK = RESULTS / ("train-quick" if QUICK else "train")
SEED = 1
WEIGHTS = 134.5e6
"""Of SmolLM2-135M."""
FLOPS_A_TOKEN = 4 * WEIGHTS
"""Forward, and backward for the inputs alone, two operations a weight each; adapters not counted."""


class Look(BaseModel):
    """Held-out bits per byte, so many seconds after the start of the process, without those of the looks themselves."""

    step: int
    seconds: float
    bits: float
    """Of the posts that a training looks at on the way: some of the held-out ones."""


class Outcome(BaseModel):
    """One training by one peer."""

    looks: list[Look]
    best: float
    """Bits per byte of all held-out posts: Mynah's at the end, a peer's at their best."""
    seconds: float
    """From start to end; of Mynah to the saved model, samples judged."""
    peak_bytes: float
    tokens_per_s: float
    cpu_s: float = 0.0
    """Of Mynah: what the whole process computed."""
    learned: int = 0
    """Posts that Mynah trained on."""
    before: float = 0.0
    """What the base has for bits per byte of all held-out posts, where Mynah trained."""
    eta_off: float = 0.0
    """How far the estimate after the first tenth was off, as a share of what was left."""

    def reached(self, bits: float) -> float | None:
        """Seconds until it was as good, between two looks by a straight line; None where it never was."""
        earlier: Look | None = None
        for look in self.looks:
            if look.bits <= bits:
                if earlier is None:
                    return look.seconds
                share = (earlier.bits - bits) / (earlier.bits - look.bits)
                return earlier.seconds + share * (look.seconds - earlier.seconds)
            earlier = look
        return None


def main(handles: Sequence[str]) -> int:
    """Train everybody with everything, in turns."""
    people = [handle for handle in handles or PEOPLE if (quality.DATA / quality.PEOPLE[handle]).exists()]
    if not people:
        sys.exit(f"The posts to measure on are not in {quality.DATA}.")
    report = Report("train", {"people": len(people), "base": SMOLLM2.name, "recipe": MYNAH.name})
    limit = _gemm_flops()
    report.measured("matrix product of 2,048 in training's precision", "GFLOP/s", [limit / 1e9])
    outcomes: dict[str, dict[str, Outcome]] = {}
    for handle in people:
        job = _job(handle)
        outcomes[handle] = {}
        trainings: dict[str, Callable[[], Outcome]] = {
            AS_SHIPPED: partial(mynah, job),
            **{peer: partial(_peer, peer, job) for peer in reversed(PEERS)},
            WATCHED: partial(mynah, job.model_copy(update={"recipe": WATCHED_RECIPE})),
        }
        for peer, training in trainings.items():
            outcome = kept(WORK / handle / f"{peer}.json", training)
            outcomes[handle][peer] = outcome
            report.say(
                f"@{handle}, {peer}: {outcome.best:.4f} bits per byte; "
                f"{outcome.seconds:.0f} s, {outcome.tokens_per_s:.0f} tokens/s, peak {outcome.peak_bytes / MB:,.0f} MB"
            )
    for peer in (AS_SHIPPED, WATCHED, *PEERS):
        report.measured(f"{peer}: tokens/s", "", [outcomes[handle][peer].tokens_per_s for handle in people])
    return report.conclude(_figures(outcomes, limit))


def _figures(outcomes: dict[str, dict[str, Outcome]], limit: float) -> list[Figure]:
    figures = []
    for peer, goal in zip(PEERS, (10, 5, 2), strict=True):
        ratios = []
        for one in outcomes.values():
            target = min(look.bits for look in one["trainer"].looks) + LUCK
            never = max(look.seconds for look in one[peer].looks)  # it has not come so far: at least its whole time
            theirs = one[peer].reached(target) or never
            ours = one[WATCHED].reached(target)
            ratios.append(theirs / ours if ours else 0.0)
        ratio = statistics.median(ratios)
        figures.append(Figure(f"time to the recipe's best, {peer} / mynah", ratio, "", f">= {goal}", ratio >= goal))
    shipped = [one[AS_SHIPPED] for one in outcomes.values()]
    worse = max(one[AS_SHIPPED].best - one["trainer"].best for one in outcomes.values())
    figures.append(at_most("bits per byte at the end, mynah - the recipe's best, worst person", worse, "", 0))
    speed = statistics.median(one.tokens_per_s for one in shipped)
    share = 100 * speed * FLOPS_A_TOKEN / limit
    figures.append(Figure("share of the matrix product's limit", share, "%", ">= 50 %", share >= 50))
    base = choose().dtype.itemsize * WEIGHTS
    above = max(one.peak_bytes for one in shipped) - base
    figures.append(at_most(f"peak memory above the base in {choose().precision}", above / MB, "MB", 1_500))
    off = max(one.eta_off for one in shipped)
    figures.append(at_most("estimate of the time left after a tenth, off by", 100 * off, "%", 20))
    return figures


def _job(handle: str) -> FinetuneJob:
    """The job as the bot would hand it over; the peers read their posts and base from the same."""
    quality.write_posts(handle)
    posts = quality.WORK / handle / "posts.jsonl"
    if QUICK:
        posts = WORK / handle / "posts.jsonl"
        posts.parent.mkdir(parents=True, exist_ok=True)
        lines = (quality.WORK / handle / "posts.jsonl").read_text("utf-8").splitlines(keepends=True)
        posts.write_text("".join(lines[-QUICK_POSTS:]), "utf-8")
    return job_on(handle, posts, WORK / handle / "work")


def job_on(handle: str, posts: Path, work_dir: Path) -> FinetuneJob:
    """A training of the base by Mynah's recipe on posts as a job has them."""
    return FinetuneJob(
        job_id=handle,
        base=SMOLLM2.name,
        cache_dir=quality.CACHE,
        nice=0,
        parent_pid=os.getpid(),
        persona=handle,
        posts=posts,
        work_dir=work_dir,
        recipe=MYNAH,
        seed=SEED,
        min_characters=0,
    )


def kept(file: Path, make: Callable[[], Outcome]) -> Outcome:
    """The outcome that the file has from an earlier run, or a new one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(make().model_dump_json(indent=2), "utf-8")
    return Outcome.model_validate_json(file.read_text("utf-8"))


def _peer(peer: str, job: FinetuneJob) -> Outcome:
    job_file = WORK / job.persona / "job.json"
    job_file.write_text(job.model_dump_json(), "utf-8")
    with (WORK / "peers.log").open("a") as log:
        said = subprocess.run(
            [sys.executable, "-m", "bench.train_peers", peer, str(job_file)],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=REPOSITORY,
            check=True,
            text=True,
        ).stdout
    *looks, end = (json.loads(line) for line in said.splitlines() if line.startswith('{"'))
    first, last = looks[0], looks[-1]
    tokens_a_step = end["tokens"] / end["steps"]
    return Outcome(
        looks=[Look.model_validate(look) for look in looks],
        best=min(look["all"] for look in looks),
        seconds=last["seconds"],
        peak_bytes=end["peak"],
        tokens_per_s=tokens_a_step * (last["step"] - first["step"]) / (last["seconds"] - first["seconds"]),
    )


def mynah(job: FinetuneJob) -> Outcome:
    """One training by the real entry point; every event with its time."""
    shutil.rmtree(job.work_dir, ignore_errors=True)
    began = time.monotonic()
    with job.work_dir.with_suffix(".log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=REPOSITORY,
            text=True,
        )
    assert process.stdin
    assert process.stdout
    process.stdin.write(job.model_dump_json() + "\n")
    process.stdin.close()
    events = [(time.monotonic() - began, EVENT.validate_json(line)) for line in process.stdout]
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"The trainer failed: {events[-1] if events else 'no word'}; see {log.name}.")
    looks, looking_s, looked_from = [], 0.0, 0.0
    for at, event in events:
        if isinstance(event, Evaluated) and event.stage == "during":
            looks.append(Look(step=event.step, seconds=looked_from - looking_s, bits=event.bits_per_byte))
            looking_s += at - looked_from
        looked_from = at
    measured = {event.stage: event.bits_per_byte for _, event in events if isinstance(event, Evaluated)}
    (counted,) = [event for _, event in events if isinstance(event, Counted)]
    steps = [(at, event) for at, event in events if isinstance(event, Step)]
    total = steps[-1][1].of
    tenth_at, tenth = next((at, step) for at, step in steps if step.step >= total / 10)
    (saved_at,) = [at for at, event in events if isinstance(event, Saved)]
    left = events[-1][0] - tenth_at  # all of what the person waits for
    return Outcome(
        looks=looks,
        best=measured["after"],
        before=measured["before"],
        seconds=saved_at,
        peak_bytes=usage.ru_maxrss * 1024,
        tokens_per_s=statistics.median(step.tokens_per_s for _, step in steps),
        cpu_s=usage.ru_utime + usage.ru_stime,
        learned=counted.train,
        eta_off=abs(tenth.eta_s - left) / left,
    )


def _gemm_flops() -> float:
    """Operations a second of the largest product that this machine does well, in the precision that trains here."""
    dtype = choose().dtype
    size = 2_048
    left, right = (torch.randn(size, size).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        before = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - before)
    return 2.0 * size**3 / best


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
