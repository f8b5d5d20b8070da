"""What holds for a corpus whatever people write."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import corpus
from trainer.corpus import Corpus, RawPost
from trainer.quality.words import runs
from trainer.recipes import HUGGINGTWEETS, MYNAH, Recipe

DAY = datetime(2024, 5, 1, tzinfo=UTC)
FRAGMENTS = [
    "good", "morning", "everybody", "I", "@friend", "#tag", "https://t.co/abc", "http:x", "pic.twitter.com/abc",
    "via", "-", "=>", "“", ":",
    "&amp;", "&lt;", "&gt;", "&amp;lt;", "&amp;amp;", " ", "  ", "\n", "\t", "\u2028", "\xa0", "🐦", "é", ".",
]  # fmt: skip

wild_text = st.one_of(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join), st.text(max_size=60))
spaced_text = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(" ".join)
forms = st.lists(st.sampled_from(["good", "morning", "garden"]), min_size=8, max_size=11).map(" ".join)
wild_posts = st.lists(
    st.builds(
        lambda text, minute, kind: (text, minute, kind),
        st.one_of(wild_text, spaced_text, forms),
        st.one_of(st.none(), st.integers(0, 100)),
        st.sampled_from(["post", "reply", "quote", "repost"]),
    ),
    max_size=40,
).map(
    lambda rows: [
        RawPost(str(number), None if minute is None else DAY + timedelta(minutes=minute), text, kind)
        for number, (text, minute, kind) in enumerate(rows)
    ]
)
both_recipes = pytest.mark.parametrize("recipe", [MYNAH, HUGGINGTWEETS], ids=lambda recipe: recipe.name)


def counts(built: Corpus) -> tuple[int, int, int, int, int]:
    return built.downloaded, built.reposts, built.short, built.kept, built.characters


@both_recipes
@given(posts=wild_posts)
def test_every_post_is_counted_once(recipe: Recipe, posts: list[RawPost]) -> None:
    built = corpus.build(posts, recipe)
    assert built.downloaded == len(posts) == built.reposts + built.short + built.kept
    assert built.kept == len(built.train) + len(built.heldout) + built.duplicates + built.quoted


@both_recipes
@given(posts=wild_posts, seed=st.integers())
def test_counts_do_not_depend_on_order(recipe: Recipe, posts: list[RawPost], seed: int) -> None:
    shuffled = list(posts)
    random.Random(seed).shuffle(shuffled)
    assert counts(corpus.build(shuffled, recipe)) == counts(corpus.build(posts, recipe))


@given(posts=wild_posts)
def test_original_learns_every_kept_post_and_ours_each_text_once(posts: list[RawPost]) -> None:
    original, ours = corpus.build(posts, HUGGINGTWEETS), corpus.build(posts, MYNAH)
    assert len(original.train) == original.kept
    texts = Counter(post.text for post in (*ours.train, *ours.heldout))
    assert all(times == 1 for times in texts.values())


@given(posts=wild_posts)
def test_heldout_posts_are_new_to_training_and_newer(posts: list[RawPost]) -> None:
    built = corpus.build(posts, MYNAH)
    assert not {post.text for post in built.train} & {post.text for post in built.heldout}
    assert not {post.id for post in built.train} & {post.id for post in built.heldout}
    when = {post.id: post.created_at or datetime.min.replace(tzinfo=UTC) for post in posts}
    if built.train and built.heldout:
        assert max(when[post.id] for post in built.train) <= min(when[post.id] for post in built.heldout)


@given(posts=wild_posts)
def test_no_two_posts_that_ours_learns_share_eight_words_in_a_row(posts: list[RawPost]) -> None:
    learned = corpus.build(posts, MYNAH).train
    times = Counter(run for post in learned for run in runs(post.text))
    assert all(count == 1 for count in times.values())


@given(posts=wild_posts)
def test_refresh_keeps_what_was_learned_and_finds_nothing_new_where_nothing_is(posts: list[RawPost]) -> None:
    before = corpus.build(posts, MYNAH)
    learned = {post.id for post in before.train}
    known = learned | {post.id for post in before.heldout}
    again = corpus.build(posts, MYNAH, learned)
    assert learned <= {post.id for post in again.train}
    assert {post.id for post in (*again.train, *again.heldout)} <= known


@given(text=wild_text)
def test_no_link_and_no_wide_space_is_left_by_ours(text: str) -> None:
    cleaned = corpus.clean(text, MYNAH)
    assert re.search(r"https?:\S|pic\.twitter\.com/\S", cleaned) is None
    assert cleaned == " ".join(cleaned.split())


@given(text=wild_text)
def test_every_entity_of_the_platform_is_undone_by_ours(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert corpus.unescape(escaped, sequential=False) == text


@given(text=wild_text.filter(lambda text: "&" not in text))
def test_cleaning_a_clean_post_changes_nothing(text: str) -> None:
    cleaned = corpus.clean(text, MYNAH)
    assert corpus.clean(cleaned, MYNAH) == cleaned


@given(text=wild_text)
def test_kept_post_says_something(text: str) -> None:
    built = corpus.build([RawPost("1", None, text, "post")], HUGGINGTWEETS)
    assert [corpus.says_something(post.text) for post in built.train] == [True] * built.kept


@given(posts=wild_posts)
def test_nothing_empty_is_learned(posts: list[RawPost]) -> None:
    built = corpus.build(posts, MYNAH)
    assert all(post.text.strip() == post.text != "" for post in (*built.train, *built.heldout))
