"""What style is, and when two sets of posts differ in it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.quality.people import careful, loud, sleepy
from trainer.quality.features import NAMES, features
from trainer.quality.style import style_distance, style_distance_self

wild_posts = st.lists(st.text(max_size=40), min_size=4, max_size=10)


def feature(name: str, post: str) -> float:
    return float(features([post])[0, NAMES.index(name)])


@pytest.mark.parametrize(
    ("name", "post", "expected"),
    [
        ("characters", "Hello you", 9),
        ("words", "Hello, you — there", 3),
        ("letters per word", "on it here", 8 / 3),
        ("capitals, share of letters", "ABcd", 0.5),
        ("words in capitals, share of words", "this is VERY BIG", 0.5),
        ("words in capitals, share of words", "I am @REALLY #SMALL", 0),
        ("begin in lower case, share of posts", "@Someone 2 things", 1),
        ("begin in lower case, share of posts", "… Two things", 0),
        ("letters beyond a to z, share of letters", "más", 1 / 3),
        ("full stops", "Yes. No... e.g. 3.5.", 3),
        ("commas", "a, b、c", 2),
        ("exclamation marks", "no!!", 2),
        ("question marks", "who? me?", 2),
        ("ellipses", "well… so.. yes", 2),
        ("colons and semicolons", "so: yes; 10:30 :)", 2),
        ("quotation marks", '"so" “yes”', 4),
        ("apostrophes", "it's 'you’re'", 2),
        ("dashes", "so - yes — well-known", 2),
        ("brackets", "(so)", 2),
        ("ampersands", "a & b", 1),
        ("end with a mark, share of posts", "Done!”", 1),
        ("end with a mark, share of posts", "Done. Not", 0),
        ("digits", "in 2024", 4),
        ("emoji", "🐦🔥 ok ☀", 3),
        ("hashtags", "#one and C# #two", 2),
        ("mentions", "@a and b@c.de", 1),
        ("begin with a mention, share of posts", ".@a hello", 1),
        ("links", "https://a.b pic.twitter.com/x", 2),
        ("line breaks", "a\nb", 1),
        ("I and me", "I told my aunt I’m here", 3),
        ("articles", "The cat, a dog, el gato", 3),
        ("negations", "I don't, never", 2),
    ],
)
def test_feature_measures_what_its_name_says(name: str, post: str, expected: float) -> None:
    assert feature(name, post) == pytest.approx(expected)


def test_topic_is_no_style() -> None:
    assert (features(["We love fresh bread."]) == features(["We hate stale trams."])).all()


def test_two_handfuls_of_one_persons_posts_are_not_apart() -> None:
    posts = careful(200)
    apart, own = style_distance(posts[:100], posts[100:], 1), style_distance_self(posts, 1, 100)
    assert apart.low == 0
    assert apart.value < own.high < 0.05
    assert own.value < 0.005


def test_a_set_is_not_apart_from_itself() -> None:
    assert style_distance(careful(50), careful(50), 1).value == 0


def test_people_who_write_differently_are_apart() -> None:
    for a, b in combinations([careful(100), loud(100), sleepy(100)], 2):
        found = style_distance(a, b, 1)
        assert found.low > 0.05
        assert found.value == pytest.approx(style_distance(b, a, 1).value)


def test_distance_grows_with_the_share_of_somebody_elses_posts() -> None:
    own, other = careful(200), loud(100)
    mixed = [style_distance(own[:100], own[100 : 200 - n] + other[:n], 1).value for n in (0, 25, 50, 100)]
    assert mixed == sorted(mixed)
    assert mixed[1] > style_distance_self(own, 1, 100).high


def test_small_sets_look_no_farther_apart_than_large_ones() -> None:
    a, b = careful(400), sleepy(400)
    draw = np.random.default_rng(1)
    small = [style_distance(draw.permutation(a)[:15].tolist(), draw.permutation(b)[:15].tolist(), 1) for _ in range(40)]
    assert np.mean([found.value for found in small]) == pytest.approx(style_distance(a, b, 1).value, rel=0.1)


@settings(max_examples=40)
@given(a=wild_posts, b=wild_posts, seed=st.integers(0, 2**32))
def test_any_two_sets_have_a_distance_between_0_and_1(a: list[str], b: list[str], seed: int) -> None:
    for found in (style_distance(a, b, seed), style_distance_self(a, seed)):
        assert 0 <= found.low <= found.value <= found.high <= 1
    assert style_distance(a, b, seed) == style_distance(a, b, seed)


def test_fewer_than_two_posts_have_no_style() -> None:
    with pytest.raises(ValueError, match="fewer than two posts"):
        style_distance(["one"], careful(10), 1)
    with pytest.raises(ValueError, match="fewer than two posts"):
        style_distance_self(["one", "two", "three"], 1)
