"""What changed in a person's posts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.quality.people import careful, loud
from trainer.quality.drift import drift, words_apart


def test_nothing_much_changes_between_two_handfuls_of_the_same() -> None:
    found = drift(careful(300), careful(100, seed=2), 1)
    assert (found.old_posts, found.new_posts) == (300, 100)
    assert found.style_distance.value < 0.02
    assert max(abs(change.effect) for change in found.changes) < 0.6


def test_change_of_style_is_told_with_its_largest_part_first() -> None:
    found = drift(careful(300), loud(200), 1)
    assert found.style_distance.low > found.style_distance_self.high
    effects = [abs(change.effect) for change in found.changes]
    assert effects == sorted(effects, reverse=True)
    by_name = {change.name: (change.before, change.now) for change in found.changes}
    assert by_name["hashtags"] == (0, 1)
    assert by_name["exclamation marks"][0] == 0
    assert "emoji" not in by_name  # nobody uses any


def test_words_that_came_and_went_are_named() -> None:
    old = [f"{post} So much rain." for post in careful(200)]
    new = [f"{post} So much sun, @friend!" for post in careful(200)]
    assert words_apart(old, new) == (("sun",), ("rain",))


def test_word_said_often_in_one_post_is_no_trend() -> None:
    assert words_apart(careful(200), [*careful(200), "goose " * 50]) == ((), ())


def test_drift_is_the_same_for_a_seed() -> None:
    assert drift(careful(50), loud(50), 3) == drift(careful(50), loud(50), 3)


@settings(max_examples=30)
@given(
    old=st.lists(st.text(max_size=30), min_size=4, max_size=8),
    new=st.lists(st.text(max_size=30), min_size=2, max_size=8),
)
def test_any_posts_can_be_compared(old: list[str], new: list[str]) -> None:
    found = drift(old, new, 1)
    assert set(found.rising) & set(found.fading) == set()


def test_too_few_posts_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than two posts"):
        drift(["one", "two", "three"], careful(10), 1)
