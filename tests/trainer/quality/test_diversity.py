"""How much samples repeat themselves and each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from tests.trainer.quality.people import careful
from trainer.quality.diversity import distinct, self_bleu
from trainer.quality.words import words

few_words = st.lists(st.sampled_from(["a", "b", "c", "d", "the", "cat", "sat", "mat"]), max_size=12).map(" ".join)


def test_distinct_is_different_ngrams_by_all() -> None:
    samples = ["the cat sat", "The cat ran!"]
    assert distinct(samples, 1, 1).value == pytest.approx(4 / 6)
    assert distinct(samples, 2, 1).value == pytest.approx(3 / 4)
    assert distinct(samples, 3, 1).value == pytest.approx(2 / 2)


def test_one_sample_said_again_and_again_is_hardly_distinct() -> None:
    assert distinct(["all work and no play"] * 50, 2, 1).value == pytest.approx(1 / 50)


def test_samples_too_short_for_an_ngram_have_none() -> None:
    assert distinct(["yes", "no"], 2, 1).value == 0


@given(samples=st.lists(few_words, min_size=2, max_size=6))
def test_self_bleu_is_the_mean_of_nltks_bleu(samples: list[str]) -> None:
    tokens = [words(sample) for sample in samples]
    smooth = SmoothingFunction().method1
    theirs = [
        sentence_bleu(tokens[:number] + tokens[number + 1 :], own, smoothing_function=smooth) if own else 0.0
        for number, own in enumerate(tokens)
    ]
    assert self_bleu(samples, 1).value == pytest.approx(sum(theirs) / len(theirs))


def test_self_bleu_is_1_for_one_text_and_low_for_unlike_ones() -> None:
    assert self_bleu(["all work and no play"] * 5, 1).value == pytest.approx(1)
    assert self_bleu(["all work and no play", "nine slow bicycles", "honest maps of the moon"], 1).value == 0


def test_self_bleu_grows_with_repetition() -> None:
    fresh = careful(60)
    assert self_bleu(fresh, 1).high < self_bleu(fresh[:40] + fresh[:20], 1).low


@given(samples=st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_anything_that_people_write_has_shares_for_figures(samples: list[str]) -> None:
    for found in (distinct(samples, 1, 1), distinct(samples, 3, 1), self_bleu(samples, 1)):
        assert 0 <= found.low <= found.value <= found.high <= 1 + 1e-9
