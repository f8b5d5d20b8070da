"""The whole report on a clone's samples."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.quality.people import careful, loud, sleepy
from trainer.quality.judge import judge
from trainer.report import SampleReport

TRAIN, HELDOUT = careful(300), careful(60, seed=2)
OTHERS = {"loud": loud(150), "sleepy": sleepy(150)}


def judged(samples: list[str], heldout: list[str] = HELDOUT, others: dict[str, list[str]] = OTHERS) -> SampleReport:
    return judge(samples, train=TRAIN, heldout=heldout, person="careful", others=others, seed=1)


def test_good_clone_is_original_and_sounds_like_its_person() -> None:
    found = judged(careful(60, seed=3))
    assert found.samples == 60
    assert found.copy_rate.value <= 0.05
    assert found.style_reference == "heldout"
    assert found.style_distance.low <= found.style_distance_self.high
    assert found.authorship is not None
    assert found.authorship.samples.value > 0.9
    assert found.real is not None
    assert found.real.posts == 60
    assert found.distinct_2.value == pytest.approx(found.real.distinct_2.value, abs=0.1)


def test_parrot_is_found_out() -> None:
    found = judged(TRAIN[:60])
    assert found.copy_rate.value == 1
    assert len(found.nearest) == 10
    assert all(source.source == source.sample and source.copied for source in found.nearest)


def test_nearest_sources_come_nearest_first() -> None:
    found = judged([*careful(60, seed=3), TRAIN[0], " ".join(TRAIN[1].split()[:9]) + " and then nothing else happened"])
    assert found.nearest[0].sample == TRAIN[0]
    assert [source.copied for source in found.nearest] == sorted((s.copied for s in found.nearest), reverse=True)


def test_clone_that_sounds_like_somebody_else_is_found_out() -> None:
    found = judged(loud(60, seed=5))
    assert found.style_distance.low > found.style_distance_self.high
    assert found.authorship is not None
    assert found.authorship.samples.value < 0.1


def test_without_heldout_posts_style_is_compared_with_training_posts() -> None:
    found = judged(careful(60, seed=3), heldout=[])
    assert (found.style_reference, found.real, found.style_distance_train) == ("train", None, None)
    assert found.style_distance.value < 0.05
    assert found.authorship is not None


def test_without_others_nobody_is_asked_who_said_it() -> None:
    assert judged(careful(60, seed=3), others={}).authorship is None


def test_prompts_are_not_held_against_the_clone() -> None:
    prompt = " ".join(TRAIN[0].split()[:10])
    samples = [f"{prompt} and something else entirely came of it number {n}" for n in range(10)]
    report = judge(
        samples, train=TRAIN, heldout=HELDOUT, person="careful", others={}, seed=1, prompts=[prompt] * len(samples)
    )
    assert report.copy_rate.value == 0
    assert judged(samples).copy_rate.value == 1


def test_same_seed_gives_the_same_report() -> None:
    assert judged(careful(30, seed=3)) == judged(careful(30, seed=3))


def test_report_survives_the_way_through_json() -> None:
    found = judged(["\ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "", "🐦", *careful(5)])
    assert SampleReport.model_validate_json(found.model_dump_json()) == found


@settings(max_examples=15)
@given(
    samples=st.lists(st.text(max_size=30), min_size=2, max_size=5),
    train=st.lists(st.text(max_size=30), min_size=4, max_size=8),
    heldout=st.lists(st.text(max_size=30), max_size=25),
)
def test_whatever_is_posted_and_said_can_be_judged(samples: list[str], train: list[str], heldout: list[str]) -> None:
    found = judge(samples, train=train, heldout=heldout, person="a", others={"b": ["", "x"] * 20}, seed=1)
    assert 0 <= found.copy_rate.low <= found.copy_rate.high <= 1


def test_one_sample_is_too_few() -> None:
    with pytest.raises(ValueError, match="fewer than two posts"):
        judged(["only one"])


def test_hundred_samples_take_seconds() -> None:
    train, draw = careful(3000), random.Random(1)
    others = {f"other {n}": draw.choice((loud, sleepy))(1000, seed=n) for n in range(5)}
    begin = time.process_time()
    judge(careful(100, seed=9), train=train, heldout=careful(300, seed=8), person="careful", others=others, seed=1)
    assert time.process_time() - begin < 60  # 3 s on a quiet core
