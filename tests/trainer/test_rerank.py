"""The reranker learns a taste where there is one, and says that it is no better than chance where there is none."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from trainer.protocol import AnyEvent, JobFailed, Ranked, RerankJob
from trainer.report import RerankReport
from trainer.rerank import rerank


def learned(folder: Path, choices: list[tuple[bool, list[float]]]) -> RerankReport:
    file = folder / "choices.jsonl"
    file.write_text("\n".join(json.dumps({"chosen": chosen, "features": row}) for chosen, row in choices))
    events: list[AnyEvent] = []

    def emit(event: AnyEvent) -> None:
        events.append(event)

    rerank(RerankJob(job_id="1", base="", cache_dir=folder, choices=file, names=("length", "capitals")), emit)
    (event,) = events
    assert isinstance(event, Ranked)
    return event.report


def test_taste_is_learned_and_told_with_its_uncertainty(tmp_path: Path) -> None:
    chance = random.Random(1)
    rows = [[chance.uniform(0, 280), chance.random()] for _ in range(120)]
    report = learned(tmp_path, [(row[0] + chance.gauss(0, 30) < 100, row) for row in rows])
    assert report.used
    assert report.chance < report.accuracy.low <= report.accuracy.value <= report.accuracy.high <= 1
    assert report.weights[0] < 0
    assert report.score([40, 0.5]) > report.score([250, 0.5])


def test_choices_without_a_taste_are_not_used(tmp_path: Path) -> None:
    chance = random.Random(2)
    report = learned(tmp_path, [(chance.random() < 0.5, [chance.random(), chance.random()]) for _ in range(80)])
    assert not report.used


def test_few_choices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="too few"):
        learned(tmp_path, [(True, [1.0, 1.0])] * 30 + [(False, [1.0, 1.0])] * 3)
