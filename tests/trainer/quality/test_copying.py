"""What counts as copied from the training posts."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.quality.people import careful
from trainer.quality.copying import Originals
from trainer.quality.words import words
from trainer.report import NearestSource

POST = "One two three four five six seven eight nine ten"
FRAGMENTS = [
    "the",
    "The",
    "a",
    "cat,",
    "sat",
    "…",
    "😀",
    "'",
    "’",
    "#",
    "@me",
    "𝔘",
    "ß",
    "你好",
    "\u200d",
    "\n",
    ".",
    "",
]
wild_text = st.one_of(st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(" ".join), st.text(max_size=40))
wild_texts = st.lists(wild_text, max_size=8)


def sources(samples: list[str], posts: list[str], prompts: tuple[str, ...] = ()) -> tuple[NearestSource, ...]:
    return Originals(posts).nearest_of_each(samples, prompts)


@pytest.mark.parametrize(
    ("sample", "run", "copied"),
    [
        ("so two three four five six seven eight nine and more words of my own here", 8, True),
        ("so two three four five six seven eight and more words of my own here", 7, False),
        ("two three four five now", 4, True),  # 80 % of itself
        ("two three four now", 3, False),
        ("TWO, “three” four… Five!", 4, True),
        ("two three nine ten two three nine ten", 2, False),  # two runs are not one
        ("eight nine ten One two three", 3, False),
        ("entirely unlike", 0, False),
        ("", 0, False),
        ("😀 …", 0, False),
    ],
)
def test_sample_is_copied_by_its_longest_run(sample: str, run: int, copied: bool) -> None:
    (source,) = sources([sample], [POST])
    assert (source.words, source.copied) == (run, copied)


def test_run_does_not_go_on_into_the_next_post() -> None:
    assert not sources(["one two three four five six seven eight"], ["One two three four.", "Five six seven eight."])[
        0
    ].copied


def test_apostrophes_of_both_kinds_are_one() -> None:
    assert sources(["it's what I'd say"], ["It’s what I’d say"])[0].copied


def test_words_of_the_prompt_do_not_count() -> None:
    (source,) = sources(["One two three four five six seven is what I say"], [POST], ("one two three four five",))
    assert (source.words, source.share, source.copied) == (2, 2 / 6, False)


def test_prompt_that_a_sample_does_not_begin_with_excuses_nothing() -> None:
    assert sources(["two three four five"], [POST], ("one two",))[0].copied


@pytest.mark.parametrize(("sample", "copied"), [("thank you", True), ("one two", False), ("you", False)])
def test_sample_under_three_words_is_copied_where_it_is_a_whole_post(sample: str, copied: bool) -> None:
    assert sources([sample], [POST, "Thank you!"])[0].copied is copied


def test_nearest_source_is_the_post_with_the_longest_run() -> None:
    posts = ["a lighthouse painted blue", "she painted a lighthouse in the rain", "painted a door"]
    (source,) = sources(["he painted a lighthouse in secret"], posts)
    assert (source.source, source.words, source.share) == (posts[1], 4, 4 / 6)


def test_characters_count_as_words_where_words_are_not_spaced() -> None:
    assert sources(["我喜欢在海边看日出"], ["昨天我喜欢在海边看日出和月亮"])[0].copied


@given(posts=st.lists(wild_text.filter(lambda text: len(words(text)) > 0), min_size=1, max_size=8))
def test_every_training_post_is_a_copy_of_itself(posts: list[str]) -> None:
    assert [(source.copied, source.share) for source in sources(posts, posts)] == [(True, 1.0)] * len(posts)


def test_shuffled_words_are_no_copy() -> None:
    posts = careful(200)
    draw = random.Random(1)
    shuffled = [" ".join(draw.sample(post.split(), len(post.split()))) for post in posts]
    assert not any(source.copied for source in sources(shuffled, posts))


@given(samples=wild_texts, posts=wild_texts)
def test_run_is_the_longest_that_a_plain_search_finds(samples: list[str], posts: list[str]) -> None:
    def plain(sample: list[str], post: list[str]) -> int:
        return max(
            (
                size
                for start in range(len(sample))
                for size in range(1, len(sample) - start + 1)
                for at in range(len(post))
                if sample[start : start + size] == post[at : at + size]
            ),
            default=0,
        )

    for sample, source in zip(samples, sources(samples, posts), strict=True):
        longest = max((plain(words(sample), words(post)) for post in posts), default=0)
        assert source.words == longest
        assert 0 <= source.share <= 1
        assert (source.source in posts) if longest else (source.source == "")


def test_two_hundred_samples_beside_thirty_thousand_posts_take_seconds() -> None:
    posts = [f"{post} And that was that for today, my friends!" for post in careful(30_000)]
    begin = time.process_time()
    originals = Originals(posts)
    for sample in careful(200, seed=2):
        originals.nearest(sample)
    assert time.process_time() - begin < 60  # 2 s on a quiet core
