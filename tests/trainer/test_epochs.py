"""What is heard in an epoch: one person, a blend by shares, a refresh with replay."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.invented import invented_posts
from trainer import epochs
from trainer.corpus import CleanPost
from trainer.recipes import HUGGINGTWEETS, MYNAH

TWICE = MYNAH.model_copy(update={"epochs": 2})


def posts_of(person: str, count: int, seed: int = 1) -> list[CleanPost]:
    return [CleanPost(f"{person}{number}", text, person) for number, text in enumerate(invented_posts(count, seed))]


def test_every_epoch_of_one_person_holds_every_post_once_in_another_order() -> None:
    posts = posts_of("ada", 40)
    first, second = epochs.of_one(posts, TWICE, random.Random(3))
    assert Counter(first) == Counter(second) == Counter(posts)
    assert first != second != posts


@pytest.mark.parametrize("shares", [{"ada": 0.7, "bea": 0.3}, {"ada": 0.5, "bea": 0.5}, {"ada": 0.2, "bea": 0.8}])
def test_shares_of_a_blend_are_as_asked_within_a_percent(shares: dict[str, float]) -> None:
    people = {"ada": posts_of("ada", 400), "bea": posts_of("bea", 150, seed=2)}
    heard = epochs.of_blend(people, shares, TWICE, random.Random(3))
    for epoch in heard:
        measured = epochs.measured_shares([epoch])
        assert measured == pytest.approx(shares, abs=0.01)


def test_blend_is_interleaved_all_the_way() -> None:
    people = {"ada": posts_of("ada", 300), "bea": posts_of("bea", 300, seed=2)}
    (epoch,) = epochs.of_blend(people, {"ada": 0.5, "bea": 0.5}, MYNAH, random.Random(3))
    for start in range(0, len(epoch) - 20, 20):
        assert {post.person for post in epoch[start : start + 20]} == {"ada", "bea"}


def test_blend_repeats_nobody_more_than_twice_an_epoch() -> None:
    people = {"ada": posts_of("ada", 20), "bea": posts_of("bea", 400, seed=2)}
    (epoch,) = epochs.of_blend(people, {"ada": 0.7, "bea": 0.3}, MYNAH, random.Random(3))
    assert max(Counter(epoch).values()) <= epochs.MOST_REPEATS + 1


def test_cyborg_of_the_original_is_block_after_block_made_equally_long() -> None:
    """RECIPE.md: per epoch A's block then B's; the shorter one is repeated until it reaches the longest one's."""
    people = {"ada": posts_of("ada", 100), "bea": posts_of("bea", 30, seed=2)}
    heard = epochs.of_blend(people, {"ada": 0.5, "bea": 0.5}, HUGGINGTWEETS, random.Random(3))
    assert len(heard) == 4
    longest = epochs.characters(people["ada"])
    for epoch in heard:
        owners = [post.person for post in epoch]
        assert owners == sorted(owners)
        assert Counter(post for post in epoch if post.person == "ada") == Counter(people["ada"])
        theirs = [post for post in epoch if post.person == "bea"]
        assert longest <= epochs.characters(theirs) < longest + 300


@given(replay=st.floats(0, 3), new=st.integers(1, 20))
def test_refresh_hears_all_that_is_new_and_as_much_old_as_asked(replay: float, new: int) -> None:
    posts = posts_of("ada", 100)
    learned = {post.id for post in posts[:-new]}
    (epoch,) = epochs.of_refresh(posts, learned, replay, MYNAH, random.Random(3))
    fresh = [post for post in epoch if post.id not in learned]
    old = [post for post in epoch if post.id in learned]
    assert Counter(fresh) == Counter(posts[-new:])
    room = replay * epochs.characters(fresh)
    assert epochs.characters(old) >= min(room, epochs.characters(posts[:-new]))
    assert epochs.characters(old[:-1]) < max(room, 1) or len(old) == 0 or epochs.characters(old) < room + 300
