"""What people would train with otherwise, each in a process of its own: transformers.Trainer, three ways.

`python -m bench.train_peers PEER JOB.json` prints a JSON line for each look at the held-out posts, and one at the end.
Its seconds count from the start of the process, the looks themselves left out: they are the bench's, not the peer's.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from trainer import epochs, evaluate, lessons, packing
from trainer.base import Base, Model, load_model, load_tokenizer, prepare
from trainer.device import choose
from trainer.learner import Plain
from trainer.lessons import Lesson
from trainer.packing import Tokens
from trainer.protocol import FinetuneJob
from trainer.recipes import HUGGINGTWEETS, MYNAH

LOOKS = 16
WORSE_LOOKS = 3
"""So many looks without a better one end a peer: it has had its best."""
POSTS_A_BATCH = 8
IGNORED = -100
"""transformers' label of what is not learned."""


class Watch(TrainerCallback):
    """Looks at held-out posts now and then, and tells when."""

    def __init__(self, look: Callable[[], tuple[float, float]], total: int) -> None:
        self._look = look
        self._stations = {max(1, round(total * k / LOOKS)) for k in range(1, LOOKS + 1)}
        self._began = psutil.Process().create_time()
        self._looking_s = 0.0
        self._best, self._worse = float("inf"), 0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        if state.global_step in self._stations:
            before = time.time()
            bits, every = self._look()
            seconds = before - self._began - self._looking_s
            self._looking_s += time.time() - before
            print(json.dumps({"step": state.global_step, "seconds": seconds, "bits": bits, "all": every}), flush=True)
            self._worse = 0 if bits < self._best else self._worse + 1
            self._best = min(self._best, bits)
            control.should_training_stop = self._worse == WORSE_LOOKS
        return control


def main(peer: str, job_file: Path) -> None:
    """Train as this peer does, and tell."""
    job = FinetuneJob.model_validate_json(job_file.read_text("utf-8"))
    lesson = lessons.prepare(job)
    base = prepare(job.base, job.cache_dir)
    tokenizer = load_tokenizer(base)
    heldout = lesson.posts.heldout
    quick = set(evaluate.thin_out(heldout))
    rows = evaluate.heldout_rows(heldout, tokenizer, MYNAH)
    model, pieces, settings = _set_up(peer, lesson, base, tokenizer)
    learner = Plain(model)
    steps = -(-len(pieces) // settings["per_device_train_batch_size"])

    def look() -> tuple[float, float]:
        """Bits per byte of what Mynah looks at on the way, and of all held-out posts."""
        costs = evaluate.nats(learner, rows)
        some = [(cost, post) for cost, post in zip(costs, heldout, strict=True) if post in quick]
        return evaluate.in_bits(*zip(*some, strict=True)), evaluate.in_bits(costs, heldout)

    watch = Watch(look, steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=1,  # the recipe's four are in its one stream
                weight_decay=0.0,
                use_cpu=True,
                report_to=[],
                save_strategy="no",
                seed=job.seed,
                disable_tqdm=True,
                logging_strategy="no",
                **settings,
            ),
            train_dataset=[{"input_ids": list(piece), "labels": list(piece)} for piece in pieces],
            data_collator=_padded,
            callbacks=[watch],
        )
        trainer.train()
    tokens = sum(len(piece) for piece in pieces)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"tokens": tokens, "steps": steps, "peak": peak}), flush=True)


def _set_up(
    peer: str, lesson: Lesson, base: Base, tokenizer: PreTrainedTokenizerBase
) -> tuple[Model, list[Tokens], dict[str, Any]]:
    """The peer's model, what it reads one by one, and its settings."""
    if peer == "peft":
        adapters = LoraConfig(r=MYNAH.rank, lora_alpha=MYNAH.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
        pieces = packing.tokenize([post.text for post in lesson.posts.train], tokenizer, MYNAH.block_tokens)
        settings: dict[str, Any] = {
            "per_device_train_batch_size": POSTS_A_BATCH,
            "learning_rate": MYNAH.learning_rate,
            "lr_scheduler_type": "linear",
            "warmup_steps": round(MYNAH.warmup * len(pieces) / POSTS_A_BATCH),
        }
        return get_peft_model(load_model(base, choose().dtype), adapters), pieces, settings
    settings = {
        "per_device_train_batch_size": 1,
        "learning_rate": HUGGINGTWEETS.learning_rate,
        "lr_scheduler_type": "cosine",
    }
    if peer == "trainer-advised":
        settings |= {"bf16": True} if choose().precision == "bf16" else {"torch_compile": True}
    return load_model(base, torch.float32), _blocks(lesson, tokenizer), settings


def _blocks(lesson: Lesson, tokenizer: PreTrainedTokenizerBase) -> list[Tokens]:
    """The posts that Mynah learns from, in huggingtweets' four epochs and blocks."""
    heard = epochs.of_one(lesson.posts.train, HUGGINGTWEETS, lesson.order)
    texts = [[post.text for post in epoch] for epoch in heard]
    rows = packing.training_rows(texts, tokenizer, HUGGINGTWEETS, lesson.order)
    return [piece for row in rows for piece in row.pieces]


def _padded(posts: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """A batch as transformers' collators make it: padded, and the padding neither seen nor learned."""
    ids = [torch.tensor(post["input_ids"]) for post in posts]
    return {
        "input_ids": pad_sequence(ids, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        "labels": pad_sequence(ids, batch_first=True, padding_value=IGNORED),
    }


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
