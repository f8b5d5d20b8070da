"""Bits per byte: the yardstick across tokenizers, recipes and engines."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from tests.trainer.jobs import PEFT_WARNING, Recorder, Training
from trainer.base import load_model, load_tokenizer, prepare
from trainer.converse import first_line
from trainer.corpus import CleanPost
from trainer.evaluate import thin_out
from trainer.protocol import Counted, Evaluated, ScoreJob
from trainer.score import score

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings(PEFT_WARNING)]

TEXTS = ["My dream is a small house near the sea", "a cat who thinks: “ünïcödé” 🐦", "I think"]


def score_here(training: Training, texts: Path, weights_dir: Path | None) -> Evaluated:
    emit = Recorder()
    job = ScoreJob(
        job_id="test", base=training.job.base, cache_dir=training.job.cache_dir, weights_dir=weights_dir, texts=texts
    )
    score(job, emit)
    (event,) = emit.events
    assert isinstance(event, Evaluated)
    return event


def write_texts(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    return path


def heldout_texts(training: Training) -> list[str]:
    corpus = training.outcome.one(Counted).corpus
    assert corpus is not None
    rows = [json.loads(line) for line in corpus.path.read_text("utf-8").splitlines()]
    return [row["text"] for row in rows if row["split"] == "heldout"]


def test_score_is_the_cross_entropy_of_each_post_and_its_end_by_its_bytes(
    lora_training: Training, tmp_path: Path
) -> None:
    base = prepare(lora_training.job.base, lora_training.job.cache_dir)
    model, tokenizer = load_model(base, torch.float32), load_tokenizer(base)
    nats = 0.0
    for text in TEXTS:
        ids = torch.tensor([[0, *tokenizer.encode(text), 0]])
        with torch.no_grad():
            nats += model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
    expected = nats / math.log(2) / sum(len(text.encode("utf-8")) for text in TEXTS)
    scored = score_here(lora_training, write_texts(tmp_path / "texts.jsonl", TEXTS), None)
    assert scored == Evaluated(stage="after", step=0, bits_per_byte=scored.bits_per_byte, posts=len(TEXTS))
    assert scored.bits_per_byte == pytest.approx(expected, rel=1e-5)


def test_clone_scores_what_its_training_said_it_would(lora_training: Training, tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "heldout.jsonl", heldout_texts(lora_training))
    said = {look.stage: look.bits_per_byte for look in lora_training.outcome.all(Evaluated)}
    assert score_here(lora_training, texts, None).bits_per_byte == pytest.approx(said["before"], rel=1e-4)
    clone = score_here(lora_training, texts, lora_training.result)
    assert clone.bits_per_byte == pytest.approx(said["after"], rel=1e-4)
    assert said["after"] < said["before"]


def test_full_clone_has_learned_its_posts(full_training: Training, tmp_path: Path) -> None:
    rows = [json.loads(line)["text"] for line in full_training.job.posts.read_text("utf-8").splitlines()]
    texts = write_texts(tmp_path / "learned.jsonl", rows[:40])
    clone = score_here(full_training, texts, full_training.result)
    assert clone.bits_per_byte < 0.85 * score_here(full_training, texts, None).bits_per_byte


def test_quick_look_spreads_over_all_posts() -> None:
    posts = [CleanPost(str(number), "ten chars!") for number in range(100)]
    assert thin_out(posts, 10_000) == posts
    assert [post.id for post in thin_out(posts, 50)] == ["0", "20", "40", "60", "80"]


@pytest.mark.parametrize(
    ("generated", "shown"),
    [("one line", "one line"), ("\n first \nsecond", "first"), ("", ""), ("a\n\nb", "a")],
)
def test_first_line_is_shown(generated: str, shown: str) -> None:
    assert first_line(generated) == shown
