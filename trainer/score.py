"""Bits per byte of given texts under a finished clone, in fp32."""

from __future__ import annotations

import json

from trainer.base import load_tokenizer, prepare
from trainer.corpus import CleanPost
from trainer.evaluate import bits_per_byte, heldout_rows, text_bytes
from trainer.export import load_clone
from trainer.protocol import Evaluated, ScoreJob
from trainer.recipes import MYNAH
from trainer.stream import Emit


def score(job: ScoreJob, emit: Emit) -> None:
    """Emit one `evaluated` for the job's texts; the base alone where no weights are named."""
    lines = job.texts.read_text(encoding="utf-8").splitlines()
    posts = [CleanPost(str(number), json.loads(line)["text"]) for number, line in enumerate(lines)]
    base = prepare(job.base, job.cache_dir, job.hub_url)
    rows = heldout_rows(posts, load_tokenizer(base), MYNAH)
    bits = bits_per_byte(load_clone(base, job.weights_dir), rows, text_bytes(posts))
    emit(Evaluated(stage="after", step=0, bits_per_byte=bits, posts=len(posts)))
