"""Bits per byte of given texts under a finished clone, in fp32."""

from __future__ import annotations

import json

from trainer.base import load_tokenizer, prepare
from trainer.corpus import CleanPost
from trainer.evaluate import heldout_rows, in_bits, nats
from trainer.export import load_clone
from trainer.learner import learner_of
from trainer.protocol import Evaluated, ScoreJob
from trainer.recipes import MYNAH
from trainer.stream import Emit


def score(job: ScoreJob, emit: Emit) -> None:
    """Emit one `evaluated` for the job's texts; the base alone where no weights are named."""
    lines = job.texts.read_text(encoding="utf-8").splitlines()
    posts = [CleanPost(str(number), json.loads(line)["text"]) for number, line in enumerate(lines)]
    base = prepare(job.base, job.cache_dir, job.hub_url)
    rows = heldout_rows(posts, load_tokenizer(base), MYNAH)
    bits = in_bits(nats(learner_of(load_clone(base, job.weights_dir)), rows), posts)
    emit(Evaluated(stage="after", step=0, bits_per_byte=bits, posts=len(posts)))
