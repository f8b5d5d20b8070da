"""A version after another: compared on what neither saw, refreshed from it, with what changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import invented
from tests.trainer.jobs import Outcome, Training, finetune_job, invented_posts, run, write_posts
from trainer.protocol import Compared, Counted, Drifted, Failed, Finished, Judged, Previous, Saved

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Later:
    """A later training of the same person, and what it was told of the one before."""

    previous: Previous
    outcome: Outcome


def learned_by(training: Training, path: Path) -> Path:
    lines = (training.job.work_dir / "corpus.jsonl").read_text("utf-8").splitlines()
    ids = [line.split('"id": "')[1].split('"')[0] for line in lines if '"split": "train"' in line]
    path.write_text("\n".join(ids) + "\n", "utf-8")
    return path


def later(training: Training, folder: Path, posts: int, *, go_on: bool, replay: float = 1.0) -> Later:
    previous = Previous(
        weights_dir=training.result, learned=learned_by(training, folder / "learned.txt"), go_on=go_on, replay=replay
    )
    write_posts(folder / "posts.jsonl", invented_posts(posts))
    job = finetune_job(folder, Path(training.job.base), previous=previous, judged_samples=0)
    return Later(previous, run(job))


@pytest.fixture(scope="module")
def refreshed(lora_training: Training, tmp_path_factory: pytest.TempPathFactory) -> Later:
    """300 posts were here, 60 have come since."""
    return later(lora_training, tmp_path_factory.mktemp("refresh"), 360, go_on=True)


def test_refresh_learns_what_is_new_and_says_how_much(refreshed: Later, lora_training: Training) -> None:
    assert refreshed.outcome.status == 0, refreshed.outcome.stderr
    counted = refreshed.outcome.one(Counted)
    before = lora_training.outcome.one(Counted)
    assert counted.downloaded == before.downloaded + 60
    assert counted.new == counted.train - before.train
    assert refreshed.outcome.one(Finished).step < lora_training.outcome.one(Finished).step


def test_refresh_holds_out_only_what_was_never_learned(refreshed: Later) -> None:
    learned = set(refreshed.previous.learned.read_text("utf-8").split())
    corpus = refreshed.outcome.one(Counted).corpus
    assert corpus is not None
    heldout = [line for line in corpus.path.read_text("utf-8").splitlines() if '"split": "heldout"' in line]
    assert heldout
    assert not any(line.split('"id": "')[1].split('"')[0] in learned for line in heldout)


def test_refresh_begins_with_the_weights_of_the_version_before(refreshed: Later) -> None:
    compared = refreshed.outcome.one(Compared)
    assert compared.posts == refreshed.outcome.one(Counted).heldout
    assert compared.bits_per_byte <= compared.bits_per_byte_previous * 1.02


def test_refresh_reports_drift(refreshed: Later) -> None:
    report = refreshed.outcome.one(Drifted).report
    counted = refreshed.outcome.one(Counted)
    assert counted.new is not None
    assert report.new_posts == counted.new + counted.heldout
    assert report.old_posts == counted.train - counted.new


def test_refresh_with_nothing_new_says_so(lora_training: Training, tmp_path: Path) -> None:
    everything = tmp_path / "learned.txt"
    everything.write_text("\n".join(str(number) for number in range(300)), "utf-8")
    previous = Previous(weights_dir=lora_training.result, learned=everything, go_on=True)
    write_posts(tmp_path / "posts.jsonl", invented_posts(300))
    outcome = run(finetune_job(tmp_path, Path(lora_training.job.base), previous=previous))
    assert outcome.one(Failed).message == "There is nothing new to learn."


def test_version_trained_anew_is_compared_on_what_neither_saw(lora_training: Training, tmp_path: Path) -> None:
    again = later(lora_training, tmp_path, 300, go_on=False)
    compared = again.outcome.one(Compared)
    assert compared.posts == again.outcome.one(Counted).heldout
    assert compared.bits_per_byte == pytest.approx(compared.bits_per_byte_previous, abs=1e-4)  # the same job
    assert again.outcome.all(Drifted) == []


def test_blend_counts_each_person_and_measures_their_shares(tiny_llama: Path, tmp_path: Path) -> None:
    write_posts(tmp_path / "posts.jsonl", invented.invented_posts(200), person="ada")
    write_posts(tmp_path / "posts.jsonl", invented.invented_posts(120, seed=2), person="bea")
    outcome = run(finetune_job(tmp_path, tiny_llama, shares={"ada": 0.7, "bea": 0.3}, judged_samples=8))
    assert outcome.status == 0, outcome.stderr
    counted = outcome.one(Counted)
    assert [(row.person, row.downloaded) for row in counted.people] == [("ada", 200), ("bea", 120)]
    assert {row.person: row.share for row in counted.people} == pytest.approx({"ada": 0.7, "bea": 0.3}, abs=0.01)
    assert counted.downloaded == 320
    assert outcome.one(Saved).method == "lora"
    assert len(outcome.one(Judged).examples) == 8


def test_blend_lacking_somebody_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    write_posts(tmp_path / "posts.jsonl", invented.invented_posts(200), person="ada")
    outcome = run(finetune_job(tmp_path, tiny_llama, shares={"ada": 0.7, "bea": 0.3}))
    assert outcome.one(Failed).message == "There are no posts of @bea to learn from."
