"""How good a finished clone is: held-out bits per byte with their uncertainty, and what its samples are like.

`finetune` ends with it, and `mynah evaluate` asks for it again, with more samples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from trainer import evaluate
from trainer.base import load_model, load_tokenizer, moved, prepare
from trainer.converse import converse
from trainer.corpus import CleanPost
from trainer.device import choose
from trainer.export import load_clone
from trainer.learner import Speaker, learner_of, speaker_of
from trainer.protocol import EvaluateJob, FinetuneJob, JobFailed, Judged
from trainer.quality.bootstrap import estimate, ratio
from trainer.quality.judge import judge
from trainer.report import Estimate, QualityReport
from trainer.stream import Emit


def evaluate_clone(job: EvaluateJob, emit: Emit) -> None:
    """Judge a finished clone anew; held-out posts in fp32, samples as quickly as the machine can.

    Raises:
        JobFailed: kind `bad_job` where nothing says what it learned from.
    """
    train, heldout = _read_corpus(job.corpus)
    if not train:
        raise JobFailed("bad_job", "Nothing says what this clone learned from.", "Clone it anew to have it measured.")
    base = prepare(job.base, job.cache_dir, job.hub_url)
    tokenizer = load_tokenizer(base)
    rows = evaluate.heldout_rows(heldout, tokenizer, job.recipe)
    place = choose(job.device, job.precision)
    before = evaluate.nats(learner_of(moved(load_model(base, torch.float32), place.device)), rows)
    model = moved(load_clone(base, job.weights_dir), place.device)
    after = evaluate.nats(learner_of(model), rows)
    speaker = speaker_of(moved(model, place.dtype))
    emit(judged(speaker, tokenizer, train, heldout, job, job.samples, before=before, after=after))


def judged(
    speaker: Speaker,
    tokenizer: PreTrainedTokenizerBase,
    train: Sequence[CleanPost],
    heldout: Sequence[CleanPost],
    job: FinetuneJob | EvaluateJob,
    samples: int,
    *,
    before: Sequence[float],
    after: Sequence[float],
) -> Judged:
    """The report; `before` and `after` are what each held-out post costs base and clone, in nats."""
    texts = converse(speaker, tokenizer, samples, job.recipe.sampling, job.seed)
    report = judge(
        texts,
        train=[post.text for post in train],
        heldout=[post.text for post in heldout],
        person=job.persona,
        others=_read_others(job.others),
        seed=job.seed,
    )
    return Judged(
        report=QualityReport(
            heldout_posts=len(heldout),
            bits_per_byte_base=_bits(before, heldout, job.seed),
            bits_per_byte=_bits(after, heldout, job.seed),
            samples=report,
        ),
        examples=tuple(texts),
    )


def _bits(costs: Sequence[float], posts: Sequence[CleanPost], seed: int) -> Estimate | None:
    """Bits per byte, and how much they would differ on other posts of the person."""
    if not costs:
        return None
    bits = [cost / math.log(2) for cost in costs]
    return estimate(list(zip(bits, evaluate.sizes(posts), strict=True)), seed, ratio)


def _read_corpus(path: Path) -> tuple[list[CleanPost], list[CleanPost]]:
    splits: dict[str, list[CleanPost]] = {"train": [], "heldout": []}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            splits[row["split"]].append(CleanPost(row["id"], row["text"]))
    return splits["train"], splits["heldout"]


def _read_others(path: Path | None) -> dict[str, list[str]]:
    """Other people's posts, by handle."""
    others: dict[str, list[str]] = {}
    if path is not None:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                others.setdefault(row["person"], []).append(row["text"])
    return others
