"""The training loop, in reading order: corpus, base, model, optimizer, loop, result.

LoRA: Hu et al. 2021 (arXiv:2106.09685) through peft. AdamW: Loshchilov and Hutter 2019 (arXiv:1711.05101).
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from trainer import checkpoint, corpus, evaluate, packing, result
from trainer.base import Base, Model, load_model, load_tokenizer, prepare
from trainer.device import Place, choose
from trainer.lifeline import Lifeline
from trainer.lora import add_adapters
from trainer.packing import Row
from trainer.protocol import Counted, Evaluated, FinetuneJob, Finished, JobFailed, Sample, Started, Step
from trainer.recipes import Recipe
from trainer.stream import Emit

QUICK_LOOK_CHARACTERS = 12_000
SAMPLES = 5
"""Times that it is heard learning: after each fifth of the way."""
CHECKPOINT_EVERY_S = 20.0
CHECKPOINT_SHARE = 20
"""A checkpoint waits until training has gone on for this many times what the last one cost."""
STEP_EVENT_EVERY_S = 0.25


@dataclass
class Run:
    """One training under way. `lock` is held while weights, optimizer and progress change together."""

    job: FinetuneJob
    place: Place
    model: Model
    tokenizer: PreTrainedTokenizerBase
    rows: list[Row]
    quick_posts: list[corpus.CleanPost]
    quick_rows: list[Row]
    state: checkpoint.State
    lock: threading.Lock
    emit: Emit

    def save_checkpoint(self) -> int:
        with self.lock:
            checkpoint.save(self.state, self.job.work_dir)
            return self.state.progress.step


def finetune(job: FinetuneJob, emit: Emit, lifeline: Lifeline) -> None:
    """Learn a voice from the job's posts; the result lies in `work_dir/result`.

    Raises:
        JobFailed: with what the person can do about it.
    """
    started = time.monotonic()
    recipe = job.recipe
    posts = _count(job, emit)
    base = prepare(job.base, job.cache_dir, job.hub_url)
    place = choose(job.device, "fp32" if recipe.precision == "fp32" else job.precision)
    fingerprint = _fingerprint(job, posts, base)
    if result.say_again(job.work_dir, fingerprint, emit):
        return

    tokenizer = load_tokenizer(base)
    heldout = evaluate.heldout_rows(posts.heldout, tokenizer, recipe)
    heldout_bytes = evaluate.text_bytes(posts.heldout)
    model = load_model(base, torch.float32).to(place.device)  # type: ignore[arg-type]
    run = _setup(job, place, base, model, tokenizer, posts, fingerprint, emit)
    progress = run.state.progress
    started_event = Started(
        job_id=job.job_id,
        device=place.device.type,
        precision=place.precision,
        base=base.name,
        base_hash=base.hash,
        seed=job.seed,
        resumed_at_step=progress.step,
    )
    emit(started_event)
    if heldout:
        if progress.before is None:  # nothing is learned yet: fresh adapters add nothing to the base
            progress.before = evaluate.bits_per_byte(run.model, heldout, heldout_bytes)
        emit(Evaluated(stage="before", step=0, bits_per_byte=progress.before, posts=len(posts.heldout)))
    _to_training_precision(run)

    lifeline.checkpoint = run.save_checkpoint
    stopped_early = train(run)
    run.save_checkpoint()
    lifeline.checkpoint = lambda: run.state.progress.step  # all is on disk; what follows can be done again

    _keep_best(run)
    after = None
    if heldout:
        run.model.float()
        bits = evaluate.bits_per_byte(run.model, heldout, heldout_bytes)
        after = Evaluated(stage="after", step=progress.best_step, bits_per_byte=bits, posts=len(posts.heldout))
        emit(after)
        _to_training_precision(run)
    _say_samples(run, progress.step)
    finished = Finished(
        reason="early_stop" if stopped_early else "completed",
        step=progress.step,
        seconds=time.monotonic() - started,
    )
    saved = result.save_weights(run.model, tokenizer, recipe, job.work_dir)
    result.keep(job.work_dir, fingerprint, [event for event in (started_event, after, saved, finished) if event])
    emit(saved)
    emit(finished)


def train(run: Run) -> bool:
    """Take the steps that are left; True when held-out quality stopped it before the last one."""
    recipe, state = run.job.recipe, run.state
    total = len(run.rows)
    looks = _stations(total, recipe.evaluations) if run.quick_rows else set()
    voices = _stations(total, SAMPLES) - {total}
    clock = _Clock(total, state.progress.step)
    run.model.train()
    while True:
        step = state.progress.step
        if step in looks and step > state.progress.looked:
            _look(run, step)
        if step == total:
            return False
        if recipe.patience and state.progress.stale >= recipe.patience:
            return True
        row = run.rows[step]
        rate = learning_rate(recipe, step, total)
        torch.manual_seed(run.job.seed + step)  # dropout is the same however often the training was cut
        loss = _backward(run, row)
        if not math.isfinite(loss):
            raise _diverged(step + 1, total)
        with run.lock:
            torch.nn.utils.clip_grad_norm_(state.weights.values(), recipe.clip)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)
            state.progress.step += 1
            state.progress.last_loss = loss
        step = state.progress.step
        if clock.tick(row.targets, last=step == total):
            run.emit(Step(step=step, of=total, loss=loss, tokens_per_s=clock.tokens_per_s, eta_s=clock.eta_s(step)))
        if step in voices:
            _say_samples(run, step)
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


def _count(job: FinetuneJob, emit: Emit) -> corpus.Corpus:
    """Clean and count, say the data table, and refuse what is too little."""
    recipe = job.recipe
    posts = corpus.build(corpus.read_posts(job.posts), recipe)
    path = job.work_dir / "corpus.jsonl"
    corpus.write(posts, path)
    counted = Counted(
        downloaded=posts.downloaded,
        reposts=posts.reposts,
        short=posts.short,
        kept=posts.kept,
        duplicates=posts.duplicates,
        quoted=posts.quoted,
        characters=posts.characters,
        train=len(posts.train),
        heldout=len(posts.heldout),
        corpus=result.describe(path),
    )
    try:
        warning = corpus.check_size(posts, min_characters=job.min_characters, warn_characters=job.warn_characters)
    except JobFailed:
        emit(counted)
        raise
    emit(counted.model_copy(update={"warning": warning}))
    return posts


def _setup(
    job: FinetuneJob,
    place: Place,
    base: Base,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    posts: corpus.Corpus,
    fingerprint: str,
    emit: Emit,
) -> Run:
    """The model with what is trainable in it, its optimizer, the rows, and the checkpoint if there is one."""
    recipe = job.recipe
    torch.manual_seed(job.seed)
    trainee: Model = add_adapters(model, recipe) if recipe.method == "lora" else model
    weights = {name: weight for name, weight in trainee.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(
        weights.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=place.device.type != "mps"
    )
    quick = evaluate.thin_out(posts.heldout, QUICK_LOOK_CHARACTERS) if posts.heldout else []
    run = Run(
        job=job,
        place=place,
        model=trainee,
        tokenizer=tokenizer,
        rows=packing.training_rows([post.text for post in posts.train], tokenizer, recipe, job.seed),
        quick_posts=quick,
        quick_rows=evaluate.heldout_rows(quick, tokenizer, recipe),
        state=checkpoint.State(weights, optimizer, checkpoint.Progress(fingerprint=fingerprint)),
        lock=threading.Lock(),
        emit=emit,
    )
    if not run.rows:
        raise JobFailed(
            "too_few_posts",
            f"The posts fill no block of {recipe.block_tokens} tokens.",
            "Use the recipe `mynah`, which learns from whole posts, or add posts.",
        )
    checkpoint.load(run.state, job.work_dir)
    return run


def _to_training_precision(run: Run) -> None:
    """Frozen weights in the place's precision; trained ones stay in fp32, and full training casts as it computes."""
    for weight in run.model.parameters():
        if not weight.requires_grad:
            weight.data = weight.data.to(run.place.dtype)


def _backward(run: Run, row: Row) -> float:
    """One row forward and backward; the loss is the mean over the row's targets."""
    batch = packing.to_batch(row, run.place.device)
    mixed = run.job.recipe.method == "full" and run.place.precision == "bf16"
    with torch.autocast(run.place.device.type, dtype=torch.bfloat16, enabled=mixed):
        logits = run.model(
            input_ids=batch.inputs, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
        ).logits
    loss = cross_entropy(logits[0].float(), batch.labels[0])
    del logits
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def _look(run: Run, step: int) -> None:
    """Held-out bits per byte now; keeps the best weights."""
    progress = run.state.progress
    bits = evaluate.bits_per_byte(run.model, run.quick_rows, evaluate.text_bytes(run.quick_posts))
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


def _say_samples(run: Run, step: int) -> None:
    job = run.job
    texts = evaluate.speak(run.model, run.tokenizer, job.sample_prompts, job.recipe.sampling, seed=job.seed + step)
    for prompt, text in zip(job.sample_prompts, texts, strict=True):
        run.emit(Sample(step=step, prompt=prompt, text=text))


def _keep_best(run: Run) -> None:
    """The weights of the best look, as they will be saved: adapters in half precision."""
    with torch.no_grad():
        for name, weight in run.state.weights.items():
            weight.copy_(run.state.best_weights.get(name, weight))
            if run.job.recipe.method == "lora":
                weight.copy_(weight.half())


def _stations(total: int, count: int) -> set[int]:
    """So many steps, evenly spaced, the last one among them."""
    return {max(1, round(total * k / count)) for k in range(1, count + 1)}


def _fingerprint(job: FinetuneJob, posts: corpus.Corpus, base: Base) -> str:
    """What makes two jobs the same training; a checkpoint of any other is not taken up."""
    what = [job.recipe.model_dump_json(exclude_defaults=True), job.seed, base.hash, [post.text for post in posts.train]]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


class _Clock:
    """How fast it goes, how long it will take, and when the next event and checkpoint are due."""

    def __init__(self, total: int, first: int) -> None:
        self._total, self._first = total, first
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
        """Seconds left, looks and samples included, at the pace so far."""
        return (time.monotonic() - self._start) / (step - self._first) * (self._total - step)

    def checkpoint_due(self) -> bool:
        wait = max(CHECKPOINT_EVERY_S, CHECKPOINT_SHARE * self._checkpoint_cost)
        return time.monotonic() - self._last_checkpoint > wait

    @contextmanager
    def checkpointing(self) -> Iterator[None]:
        before = time.monotonic()
        yield
        self._last_checkpoint = time.monotonic()
        self._checkpoint_cost = self._last_checkpoint - before
