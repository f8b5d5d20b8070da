"""What of a person's posts is learned: cleaned, counted, split, and refused where it is too little."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trainer import corpus
from trainer.corpus import RawPost
from trainer.protocol import JobFailed
from trainer.recipes import HUGGINGTWEETS, MYNAH

DAY = datetime(2024, 5, 1, tzinfo=UTC)


def posts(*texts: str, kind: str = "post") -> list[RawPost]:
    """Posts of one day each, oldest first."""
    return [RawPost(str(number), DAY + timedelta(days=number), text, kind) for number, text in enumerate(texts)]


def numbered(count: int) -> list[RawPost]:
    return posts(*(f"this is post number {number}" for number in range(count)))


@pytest.mark.parametrize(
    ("raw", "mynah", "huggingtweets"),
    [
        ("salt &amp; pepper &lt;3 &gt;:(", "salt & pepper <3 >:(", "salt & pepper <3 >:("),
        ("it writes &amp;lt; for &lt;", "it writes &lt; for <", "it writes < for <"),
        ("look https://t.co/abc", "look", "look"),
        ("look https://t.co/abc here", "look here", "look here"),
        ("https://t.co/abc look", "look", "look"),
        ("look\nhttps://t.co/abc", "look", "look"),
        ("look\nhttps://t.co/abc\nhere", "look here", "look here"),
        ("two https://t.co/a https://t.co/b links", "two links", "two links"),
        ("plain http://example.org too", "plain too", "plain too"),
        ("glued.https://t.co/abc to words", "glued. to words", "glued.to words"),
        ("a cat pic.twitter.com/abc123", "a cat", "a cat pic.twitter.com/abc123"),
        ("a catpic.twitter.com/abc123", "a cat", "a catpic.twitter.com/abc123"),
        ("  wide   open\n\n\nspaces  ", "wide open spaces", "wide open spaces"),
        ("@friend likes #hashtags too", "@friend likes #hashtags too", "@friend likes #hashtags too"),
        ("https://t.co/only", "", ""),
    ],
)
def test_cleaning_goes_entities_links_spaces(raw: str, mynah: str, huggingtweets: str) -> None:
    assert corpus.clean(raw, MYNAH) == mynah
    assert corpus.clean(raw, HUGGINGTWEETS) == huggingtweets


def test_original_recipe_unescapes_twice_and_ours_once() -> None:
    assert corpus.unescape("&amp;lt;", sequential=True) == "<"
    assert corpus.unescape("&amp;lt;", sequential=False) == "&lt;"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("three plain words", True),
        ("two words", False),
        ("@a @b @c three plain words", True),
        ("@a @b @c two words", False),
        ("#one #two #three", False),
        ("see http://x.y and HTTPS://z", False),
        ("mail me@home three plain words", True),
        ("ends with word#tag here", True),
        ("glued#tag is two", False),
        ("", False),
    ],
)
def test_post_says_something_with_three_plain_words(text: str, says: bool) -> None:
    assert corpus.says_something(text) is says


@pytest.mark.parametrize(
    ("kept", "aside"), [(0, 0), (9, 0), (10, 1), (499, 49), (500, 50), (509, 50), (510, 51), (1_113, 111), (3_000, 300)]
)
def test_a_tenth_is_kept_aside_and_fifty_from_500_posts_on(kept: int, aside: int) -> None:
    assert corpus.heldout_count(kept) == aside


def test_newest_posts_are_kept_aside() -> None:
    built = corpus.build(reversed(numbered(30)), MYNAH)
    assert [post.id for post in built.train] == [str(number) for number in range(27)]
    assert [post.id for post in built.heldout] == ["27", "28", "29"]


def test_undated_posts_count_as_oldest_in_their_order() -> None:
    undated = [RawPost(name, None, f"nobody knows when {name} was", "post") for name in ("b", "a")]
    built = corpus.build([*numbered(8), *undated], MYNAH)
    assert [post.id for post in built.train] == ["b", "a", *(str(number) for number in range(7))]
    assert [post.id for post in built.heldout] == ["7"]


def test_refresh_of_the_newest_posts_does_not_reach_back_before_them() -> None:
    posts = numbered(34)
    recipe = MYNAH.model_copy(update={"newest": 10})
    learned = {post.id for post in posts[20:29]}
    built = corpus.build(posts, recipe, learned)
    assert built.downloaded == 14
    assert {post.id for post in (*built.train, *built.heldout)} == {post.id for post in posts[20:]}


def test_recipe_may_ask_for_the_newest_posts_alone() -> None:
    built = corpus.build(reversed(numbered(30)), MYNAH.model_copy(update={"newest": 10}))
    assert built.downloaded == built.kept == 10
    assert [post.id for post in (*built.train, *built.heldout)] == [str(number) for number in range(20, 30)]


def test_reposts_are_counted_and_dropped_but_replies_and_quotes_kept() -> None:
    built = corpus.build(
        [
            *posts("RT @somebody: these are not mine", kind="repost"),
            *posts("@somebody these are mine though", kind="reply"),
            *posts("and this is mine too", kind="quote"),
            *posts("ok"),
        ],
        HUGGINGTWEETS,
    )
    assert (built.downloaded, built.reposts, built.short, built.kept) == (4, 1, 1, 2)
    assert built.characters == len("@somebody these are mine though") + len("and this is mine too")


@pytest.mark.parametrize(
    ("raw", "learned"),
    [
        ("a very good read - https://t.co/a", "a very good read"),
        ("a very good read => https://t.co/a", "a very good read"),
        ("a very good read via https://t.co/a", "a very good read"),
        ("a very good read via @friend https://t.co/a", "a very good read via @friend"),
        ("a very good read -", "a very good read -"),
    ],
)
def test_ours_drops_what_only_pointed_at_a_link(raw: str, learned: str) -> None:
    assert [post.text for post in corpus.build(posts(raw), MYNAH).train] == [learned]


@pytest.mark.parametrize("text", ['"@somebody: their words and not mine"', "“@somebody their words and not mine”"])
def test_words_quoted_by_hand_are_counted_but_not_learned_by_ours(text: str) -> None:
    ours, original = corpus.build(posts(text), MYNAH), corpus.build(posts(text), HUGGINGTWEETS)
    assert (ours.kept, ours.quoted, ours.train) == (1, 1, ())
    assert (original.kept, original.quoted, len(original.train)) == (1, 0, 1)


def test_own_words_around_a_mention_are_no_quote() -> None:
    built = corpus.build(posts('she said "go and ask @somebody: now"', '@somebody "these are" my words'), MYNAH)
    assert (built.quoted, len(built.train)) == (0, 2)


def test_ours_learns_a_repeated_post_once_and_the_original_each_time() -> None:
    raw = posts(*(["good morning to everybody"] * 3), *(f"this is post number {number}" for number in range(7)))
    ours, original = corpus.build(raw, MYNAH), corpus.build(raw, HUGGINGTWEETS)
    assert (ours.kept, ours.duplicates, len(ours.train), len(ours.heldout)) == (10, 2, 7, 1)
    assert (original.kept, original.duplicates, len(original.train), len(original.heldout)) == (10, 0, 10, 0)


APP = "this app counted {} steps of mine today and tells you all about it"


def test_ours_learns_a_form_once_as_its_newest_post_fills_it_and_the_original_each_time() -> None:
    forms = [APP.format(number) for number in range(3)]
    raw = posts(*forms, "an honest word about the garden behind our house", "and good morning to everybody")
    ours, original = corpus.build(raw, MYNAH), corpus.build(raw, HUGGINGTWEETS)
    assert [post.id for post in ours.train] == ["2", "3", "4"]
    assert (ours.kept, ours.duplicates) == (5, 2)
    assert [post.id for post in original.train] == ["0", "1", "2", "3", "4"]


def test_seven_words_in_common_are_no_form() -> None:
    raw = posts("one two three four five six seven and then mine", "One two, three four five six seven: but otherwise")
    assert len(corpus.build(raw, MYNAH).train) == 2


def test_form_that_is_learned_already_is_nothing_new() -> None:
    built = corpus.build(posts(APP.format(1), APP.format(2), "and good morning to everybody"), MYNAH, {"0"})
    assert [post.id for post in built.train] == ["0", "2"]


def test_what_was_learned_is_never_in_the_heldout_posts() -> None:
    raw = posts(*(f"this is post number {number % 15}" for number in range(20)))
    built = corpus.build(raw, MYNAH)
    assert built.heldout == ()
    assert (built.kept, built.duplicates) == (20, 5)


def test_refusal_carries_the_counts_and_what_would_help() -> None:
    built = corpus.build([*numbered(20), *posts("ok"), *posts("RT @a: b c d e", kind="repost")], MYNAH)
    with pytest.raises(JobFailed) as refusal:
        corpus.check_size(built, min_characters=6_000, warn_characters=40_000)
    assert refusal.value.kind == "too_few_posts"
    assert refusal.value.message == (
        "There is too little to learn from: 22 posts downloaded, 1 reposts, 1 short, "
        f"20 kept with {built.characters} characters; at least 6,000 characters are needed."
    )
    assert "archive" in refusal.value.hint


def test_refusal_says_how_much_is_left_of_what_was_said_again() -> None:
    built = corpus.build(posts(*(f"this is post number {number % 15}" for number in range(20))), MYNAH)
    with pytest.raises(JobFailed) as refusal:
        corpus.check_size(built, min_characters=6_000, warn_characters=40_000)
    left = sum(len(post.text) for post in built.train)
    assert f"5 of them said again, which leaves {left} characters; at least 6,000" in refusal.value.message


def test_thresholds_refuse_warn_and_pass() -> None:
    built = corpus.build(numbered(20), MYNAH)
    size = built.characters
    with pytest.raises(JobFailed):
        corpus.check_size(built, min_characters=size + 1, warn_characters=size + 1)
    assert f"{size} characters are few" in corpus.check_size(built, min_characters=size, warn_characters=size + 1)
    assert corpus.check_size(built, min_characters=size, warn_characters=size) == ""


def test_nothing_to_learn_is_refused_however_low_the_threshold() -> None:
    with pytest.raises(JobFailed):
        corpus.check_size(corpus.build([], MYNAH), min_characters=0, warn_characters=0)


def test_corpus_file_says_what_was_learned_and_what_kept_aside(tmp_path: Path) -> None:
    raw = posts(*(f"“quoted”  number {number} 🐦" for number in range(10)))
    path = tmp_path / "corpus.jsonl"
    corpus.write(corpus.build(raw, MYNAH), path)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert rows[0] == {"id": "0", "split": "train", "text": "“quoted” number 0 🐦"}
    assert [row["split"] for row in rows] == ["train"] * 9 + ["heldout"]


def test_posts_file_is_read_with_its_dates(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    rows = [
        {"id": "1", "created_at": "2024-05-01T00:00:00+00:00", "text": "dated", "kind": "post"},
        {"id": "2", "created_at": None, "text": "undated\u2028still one line", "kind": "reply"},
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    assert list(corpus.read_posts(path)) == [
        RawPost("1", DAY, "dated", "post"),
        RawPost("2", None, "undated\u2028still one line", "reply"),
    ]
