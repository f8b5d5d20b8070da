"""The training loop: rows in, one optimizer step each; it looks, speaks and writes checkpoints on the way.

AdamW: Loshchilov and Hutter 2019 (arXiv:1711.05101).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from trainer import checkpoint, corpus, evaluate
from trainer.base import Base, Model, load_model, moved
from trainer.converse import practise
from trainer.cores import one_core
from trainer.device import Place
from trainer.learner import Learner, Plain, Speaker, learner_of
from trainer.lora import add_adapters
from trainer.memory import Room, give_back
from trainer.packing import Row
from trainer.protocol import Evaluated, FinetuneJob, JobFailed, Sample, Step
from trainer.recipes import Recipe
from trainer.stream import Emit

SAMPLES = 3
"""Times that it is heard learning: after each third of the way."""
CHECKPOINT_EVERY_S = 20.0
CHECKPOINT_SHARE = 20
"""A checkpoint waits until training has gone on for this many times what the last one cost."""
STEP_EVENT_EVERY_S = 0.25


@dataclass(frozen=True)
class Asides:
    """What is done besides steps, in steps, as measured on two cores; for the estimate of the time left."""

    heard: float
    """It is heard once."""
    look: float
    """A token that is only measured, without a backward pass."""
    exact_look: float
    """The same in fp32."""
    closing: float
    """The best weights put together, in fp32, and saved."""
    judged: float
    """One sample of those that are judged at the end."""


IN_BF16 = Asides(heard=4.0, look=0.5, exact_look=0.7, closing=8.0, judged=0.2)
IN_FP32 = Asides(heard=4.5, look=0.4, exact_look=0.45, closing=2.0, judged=0.14)


@dataclass
class Run:
    """One training under way. `lock` is held while weights, optimizer and progress change together."""

    job: FinetuneJob
    place: Place
    base: Base
    model: Model
    learner: Learner
    """How rows go through the model; of frozen weights it may have taken the only copy."""
    tokenizer: PreTrainedTokenizerBase
    rows: list[Row]
    quick_posts: list[corpus.CleanPost]
    quick_rows: list[Row]
    heldout: int
    """How many posts are held out, of which the quick ones are some, evenly spaced."""
    state: checkpoint.State
    lock: threading.Lock
    emit: Emit
    track: Emit
    """Hears of every step; `emit` of some in a second."""

    def save_checkpoint(self) -> int:
        with self.lock:
            checkpoint.save(self.state, self.job.work_dir)
            return self.state.progress.step


def train(run: Run) -> bool:
    """Take the steps that are left; True when held-out quality stopped it before the last one."""
    recipe, state = run.job.recipe, run.state
    total = len(run.rows)
    looks = _stations(total, recipe.evaluations) if run.quick_rows else set()
    voices = _stations(total, SAMPLES) - {total}
    clock = Clock(total, state.progress.step, _asides(run, looks, voices))
    run.model.train()
    room = Room()
    while True:
        step = state.progress.step
        if step in looks and step > state.progress.looked:
            _look(run, step)
        if step == total:
            return False
        if recipe.patience and state.progress.stale >= recipe.patience:
            return True
        row = run.rows[step]
        room.make_for(row.targets)
        rate = learning_rate(recipe, step, total)
        torch.manual_seed(run.job.seed + step)  # dropout, a base's own too, is the same however often it is cut
        loss = run.learner.learn(row, recipe.label_smoothing)
        if not math.isfinite(loss):
            raise _diverged(step + 1, total)
        # Adapters are many and small: a step takes 10 ms on one core, and no less on several, but thirty times as long
        # where one of them is busy.
        with run.lock, one_core() if recipe.method == "lora" else nullcontext():
            torch.nn.utils.clip_grad_norm_(state.weights.values(), recipe.clip)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)
            state.progress.step += 1
            state.progress.last_loss = loss
        step = state.progress.step
        due = clock.tick(row.targets, last=step == total)
        taken = Step(
            step=step,
            of=total,
            loss=loss,
            learning_rate=rate,
            tokens_per_s=clock.tokens_per_s,
            eta_s=clock.eta_s(step),
        )
        run.track(taken)
        if due:
            run.emit(taken)
        if step in voices:
            say_samples(run, run.learner, step)
        if clock.checkpoint_due():
            with clock.checkpointing():
                run.save_checkpoint()


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """Warm-up, then linear or cosine decay to zero, as `transformers.get_scheduler` has them."""
    warmup = int(recipe.warmup * total)
    if step < warmup:
        return recipe.learning_rate * step / max(1, warmup)
    left = (total - step) / max(1, total - warmup)
    if recipe.schedule == "linear":
        return recipe.learning_rate * left
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (1.0 - left)))


def _look(run: Run, step: int) -> None:
    """Held-out bits per byte now; keeps the best weights."""
    progress = run.state.progress
    bits = evaluate.in_bits(evaluate.nats(run.learner, run.quick_rows), run.quick_posts)
    if not math.isfinite(bits):
        raise _diverged(step, len(run.rows))
    best = progress.best is None or bits < progress.best
    with run.lock:
        progress.looked = step
        if best:
            progress.best, progress.best_step, progress.stale = bits, step, 0
            run.state.best_weights = {name: weight.detach().clone() for name, weight in run.state.weights.items()}
        else:
            progress.stale += 1
    run.emit(Evaluated(stage="during", step=step, bits_per_byte=bits, posts=len(run.quick_posts), best=best))


def _diverged(step: int, total: int) -> JobFailed:
    return JobFailed(
        "diverged",
        f"The training diverged at step {step} of {total}: its loss is no longer a number.",
        'Try a smaller learning rate, or precision = "fp32" in config.toml.',
    )


def say_samples(run: Run, speaker: Speaker, step: int) -> None:
    """One sample for each of the job's prompts."""
    job = run.job
    texts = practise(speaker, run.tokenizer, job.sample_prompts, job.recipe.sampling, job.seed + step)
    for prompt, text in zip(job.sample_prompts, texts, strict=True):
        run.emit(Sample(step=step, prompt=prompt, text=text))


def keep_best(run: Run) -> None:
    """The model in fp32 with the weights of the best look, as they will be saved: adapters in half precision."""
    state = run.state
    best = {name: state.best_weights.get(name, weight) for name, weight in state.weights.items()}
    is_exact = run.place.dtype == torch.float32 or not isinstance(run.model, PeftModel)
    if isinstance(run.model, PeftModel):
        best = {name: weight.half() for name, weight in best.items()}
    run.learner = Plain(run.model)  # a lean one holds weights of its own
    give_back()
    if is_exact:
        _put(best, run.model)
    else:
        run.model = _with_adapters(run, torch.float32, best)
    run.learner = learner_of(run.model)


def _with_adapters(run: Run, dtype: torch.dtype, adapters: Mapping[str, torch.Tensor]) -> PeftModel:
    """The base as it lies on disk, with these adapters."""
    model = add_adapters(moved(load_model(run.base, dtype), run.place.device), run.job.recipe)
    _put(adapters, model)
    return model


@torch.no_grad()
def _put(weights: Mapping[str, torch.Tensor], model: Model) -> None:
    for name, weight in model.named_parameters():
        if name in weights:
            weight.copy_(weights[name])


def _stations(total: int, count: int) -> set[int]:
    """So many steps, evenly spaced, the last one among them."""
    return {max(1, round(total * k / count)) for k in range(1, count + 1)}


def _asides(run: Run, looks: set[int], voices: set[int]) -> dict[int, float]:
    """What is done after some steps besides, in steps; after the last one, all that the person still waits for."""
    job, total = run.job, len(run.rows)
    cost = IN_FP32 if run.place.dtype == torch.float32 else IN_BF16
    quick = sum(row.targets for row in run.quick_rows) / (sum(row.targets for row in run.rows) / total)
    heard = cost.heard if job.sample_prompts else 0.0
    asides = {step: cost.look * quick * (step in looks) + heard * (step in voices) for step in looks | voices}
    exact = quick * run.heldout / max(1, len(run.quick_posts)) * (2 if job.recipe.method == "lora" else 1)
    closing = cost.closing + cost.exact_look * exact + heard + cost.judged * job.judged_samples
    return asides | {total: asides.get(total, 0.0) + closing}


class Clock:
    """How fast it goes, how long it will take, and when the next event and checkpoint are due."""

    def __init__(self, total: int, first: int, asides: Mapping[int, float]) -> None:
        self._total, self._first, self._asides = total, first, asides
        self._start = self._last_event = self._last_checkpoint = time.monotonic()
        self._checkpoint_cost = 0.0
        self._tokens = 0
        self.tokens_per_s = 0.0

    def tick(self, tokens: int, *, last: bool) -> bool:
        """Count a step's tokens; True when it is time to say so: at the first, at the last, and now and then."""
        self._tokens += tokens
        now = time.monotonic()
        if self.tokens_per_s and now - self._last_event < STEP_EVENT_EVERY_S and not last:
            return False
        speed = self._tokens / (now - self._last_event)
        self.tokens_per_s = 0.8 * self.tokens_per_s + 0.2 * speed if self.tokens_per_s else speed
        self._last_event, self._tokens = now, 0
        return True

    def eta_s(self, step: int) -> float:
        """Seconds until all is done, looks, samples and the end included, at the pace so far."""
        done = step - self._first + sum(cost for at, cost in self._asides.items() if self._first <= at < step)
        left = self._total - step + sum(cost for at, cost in self._asides.items() if at >= step)
        return (time.monotonic() - self._start) / done * left

    def checkpoint_due(self) -> bool:
        wait = max(CHECKPOINT_EVERY_S, CHECKPOINT_SHARE * self._checkpoint_cost)
        return time.monotonic() - self._last_checkpoint > wait

    @contextmanager
    def checkpointing(self) -> Iterator[None]:
        before = time.monotonic()
        yield
        self._last_checkpoint = time.monotonic()
        self._checkpoint_cost = self._last_checkpoint - before
