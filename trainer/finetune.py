"""A training from its posts to its result, in reading order: corpus, base, model, loop, judgement, files.

LoRA: Hu et al. 2021 (arXiv:2106.09685) through peft.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Sequence
from typing import Literal

import torch
from peft import PeftModel, load_peft_weights, set_peft_model_state_dict
from transformers import PreTrainedTokenizerBase

from trainer import checkpoint, corpus, evaluate, judge, lessons, packing, result
from trainer.base import Base, Model, load_model, load_tokenizer, moved, prepare
from trainer.device import choose
from trainer.export import load_clone
from trainer.learner import Learner, Plain, learner_of, speaker_of
from trainer.lessons import Lesson
from trainer.lifeline import Lifeline
from trainer.loop import Run, keep_best, say_samples, train
from trainer.lora import add_adapters, whole
from trainer.memory import give_back
from trainer.protocol import (
    AnyEvent,
    Compared,
    Drifted,
    Evaluated,
    FinetuneJob,
    Finished,
    JobFailed,
    Saved,
    Started,
    Step,
)
from trainer.quality.drift import drift
from trainer.report import DriftReport
from trainer.stream import Emit
from trainer.tracking.tracker import Tracker, open_tracker

FEWEST_TO_JUDGE = 4
"""Samples, and posts to hold them against."""


def finetune(job: FinetuneJob, emit: Emit, lifeline: Lifeline) -> None:
    """Learn a voice from the job's posts; the result lies in `work_dir/result`.

    Raises:
        JobFailed: with what the person can do about it.
    """
    lesson = lessons.prepare(job)
    counted = lessons.say_counts(job, lesson, emit)
    base = prepare(job.base, job.cache_dir, job.hub_url)
    fingerprint = _fingerprint(job, lesson, base)
    if result.say_again(job.work_dir, fingerprint, emit):
        return
    with open_tracker(job, emit) as tracker:
        tracker.preprocessed(job.posts, job.work_dir / corpus.FILE, counted)
        report = Report(emit, tracker)
        run = _start(job, lesson, base, fingerprint, report)
        began = time.monotonic()
        lifeline.checkpoint = run.save_checkpoint
        stopped_early = train(run)
        run.save_checkpoint()
        lifeline.checkpoint = lambda: run.state.progress.step  # all is on disk; what follows can be done again
        keep_best(run)
        saved = _conclude(run, lesson, report)
        tracker.saved(job.work_dir / result.FOLDER)
        finished = Finished(
            reason="early_stop" if stopped_early else "completed",
            step=run.state.progress.step,
            seconds=time.monotonic() - began,
        )
        report.keep(saved)
        result.keep(job.work_dir, fingerprint, [*report.said, finished])
    emit(finished)  # once all is tracked


class Report:
    """Where events go: to the bot, to the tracker, and, those that the result is told by, into what is said again."""

    def __init__(self, emit: Emit, tracker: Tracker) -> None:
        self.emit = emit
        self.tracker = tracker
        self.said: list[AnyEvent] = []

    def tell(self, event: AnyEvent) -> None:
        self.emit(event)
        if not isinstance(event, Step):  # the loop tells the tracker each of them
            self.tracker.tell(event)

    def keep(self, event: AnyEvent) -> None:
        self.said.append(event)
        self.tell(event)


def _start(job: FinetuneJob, lesson: Lesson, base: Base, fingerprint: str, report: Report) -> Run:
    """The run as it begins, or goes on; says so."""
    run = _setup(job, base, lesson, fingerprint, report)
    progress = run.state.progress
    started = Started(
        job_id=job.job_id,
        device=run.place.device.type,
        precision=run.place.precision,
        base=base.name,
        base_hash=base.hash,
        seed=job.seed,
        resumed_at_step=progress.step,
    )
    report.tracker.started(started, run.model.config.to_dict())
    report.keep(started)
    return run


def _conclude(run: Run, lesson: Lesson, report: Report) -> Saved:
    """Judge the best weights, and put them on disk."""
    job, posts, progress = run.job, lesson.posts, run.state.progress
    rows = evaluate.heldout_rows(posts.heldout, run.tokenizer, job.recipe)
    nats = evaluate.nats(run.learner, rows)
    if isinstance(run.model, PeftModel):
        with run.model.disable_adapter():
            progress.before_nats = evaluate.nats(run.learner, rows)
    before = progress.before_nats or []
    if nats:
        report.keep(_evaluated("before", 0, before, posts.heldout))
        report.keep(_evaluated("after", progress.best_step, nats, posts.heldout))
    unseen_bits = _unseen_bits(run.learner, run.tokenizer, lesson, job) if progress.previous is not None else None
    run.learner = Plain(run.model)  # a lean one holds weights that nothing needs from here on
    saved = result.save_weights(run.model, run.tokenizer, job.recipe, job.work_dir)
    speaker = speaker_of(moved(whole(run.model.float()), run.place.dtype))
    give_back()
    say_samples(run, speaker, progress.step)
    if progress.previous is not None and unseen_bits is not None:
        report.keep(
            Compared(posts=len(lesson.unseen), bits_per_byte_previous=progress.previous, bits_per_byte=unseen_bits)
        )
    if job.previous is not None and job.previous.go_on:
        report.keep(Drifted(report=_drift(lesson, job)))
    if min(job.judged_samples, len(posts.train)) >= FEWEST_TO_JUDGE:
        report.keep(
            judge.judged(
                speaker,
                run.tokenizer,
                posts.train,
                posts.heldout,
                job,
                job.judged_samples,
                before=before,
                after=nats,
            )
        )
    return saved


def _evaluated(
    stage: Literal["before", "after"], step: int, nats: Sequence[float], posts: Sequence[corpus.CleanPost]
) -> Evaluated:
    return Evaluated(stage=stage, step=step, bits_per_byte=evaluate.in_bits(nats, posts), posts=len(posts))


def _setup(job: FinetuneJob, base: Base, lesson: Lesson, fingerprint: str, report: Report) -> Run:
    """The model with what is trainable in it, its optimizer, the rows, and the checkpoint if there is one."""
    recipe, tokenizer = job.recipe, load_tokenizer(base)
    place = choose(job.device, "fp32" if recipe.precision == "fp32" else job.precision)
    is_whole = recipe.method == "full"
    # What learns stays in fp32; what is frozen is only ever multiplied.
    model = moved(load_model(base, torch.float32 if is_whole else place.dtype), place.device)
    torch.manual_seed(job.seed)
    trainee: Model = model if is_whole else add_adapters(model, recipe)
    weights = {name: weight for name, weight in trainee.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(
        weights.values(),
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        weight_decay=recipe.weight_decay,
        fused=place.device.type != "mps",
    )
    heldout = lesson.posts.heldout
    quick = evaluate.thin_out(heldout) if heldout else []
    texts = [[post.text for post in epoch] for epoch in lesson.epochs]
    run = Run(
        job=job,
        place=place,
        base=base,
        model=trainee,
        learner=learner_of(trainee, mixed=is_whole and place.precision == "bf16"),
        tokenizer=tokenizer,
        rows=packing.training_rows(texts, tokenizer, recipe, lesson.order),
        quick_posts=quick,
        quick_rows=evaluate.heldout_rows(quick, tokenizer, recipe),
        heldout=len(heldout),
        state=checkpoint.State(weights, optimizer, checkpoint.Progress(fingerprint=fingerprint)),
        lock=threading.Lock(),
        emit=report.tell,
        track=report.tracker.tell,
    )
    if not run.rows:
        raise JobFailed(
            "too_few_posts",
            f"The posts fill no block of {recipe.block_tokens} tokens.",
            "Use the recipe `mynah`, which learns from whole posts, or add posts.",
        )
    if not checkpoint.load(run.state, job.work_dir):
        progress = run.state.progress
        if is_whole:  # which is the base only now; adapters can be left out at any time
            rows = evaluate.heldout_rows(heldout, tokenizer, recipe)
            progress.before_nats = evaluate.nats(learner_of(trainee), rows)
        if job.previous is not None:
            progress.previous = _begin_with(job, base, tokenizer, lesson, run)
    return run


def _begin_with(
    job: FinetuneJob, base: Base, tokenizer: PreTrainedTokenizerBase, lesson: Lesson, run: Run
) -> float | None:
    """Measure the version before on what it did not learn from, and go on from its weights where that is asked."""
    previous = job.previous
    assert previous is not None
    if lesson.unseen:
        before = learner_of(moved(load_clone(base, previous.weights_dir), run.place.device))
        bits = _unseen_bits(before, tokenizer, lesson, job)
        del before
    else:
        bits = None
    if previous.go_on:
        if isinstance(run.model, PeftModel):
            set_peft_model_state_dict(run.model, load_peft_weights(str(previous.weights_dir)))
        else:
            run.model.load_state_dict(load_clone(base, previous.weights_dir).state_dict())
    return bits


def _unseen_bits(learner: Learner, tokenizer: PreTrainedTokenizerBase, lesson: Lesson, job: FinetuneJob) -> float:
    rows = evaluate.heldout_rows(lesson.unseen, tokenizer, job.recipe)
    return evaluate.in_bits(evaluate.nats(learner, rows), lesson.unseen)


def _drift(lesson: Lesson, job: FinetuneJob) -> DriftReport:
    """New posts, the held-out ones among them, beside those that the version before learned from."""
    every = [*lesson.posts.train, *lesson.posts.heldout]
    old = [post.text for post in every if post.id in lesson.learned]
    new = [post.text for post in every if post.id not in lesson.learned]
    return drift(old, new, job.seed)


def _fingerprint(job: FinetuneJob, lesson: Lesson, base: Base) -> str:
    """What makes two jobs the same training; a checkpoint of any other is not taken up."""
    what: list[object] = [
        job.recipe.model_dump_json(exclude_defaults=True),
        job.seed,
        base.hash,
        [post.text for post in lesson.posts.train],
    ]
    if job.shares is not None:
        what.append(job.shares)
    if job.previous is not None:
        what += [job.previous.go_on, job.previous.replay, sorted(lesson.learned)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()
