"""Long texts are cut and split where a reader sees no character broken."""

from __future__ import annotations

import regex
from hypothesis import given
from hypothesis import strategies as st

from bot.gateways.discord.lengths import cut, listed, split, units

WILD = st.text(st.sampled_from("ab \n\u0301é👩\u200d🇫🇷ส้") | st.characters(exclude_categories=["Cs"]), max_size=300)


def graphemes(text: str) -> list[str]:
    return regex.findall(r"\X", text)


def test_a_short_text_stays_as_it_is() -> None:
    assert cut("hello", 5) == "hello"
    assert split("hello", 5, 3) == ["hello"]
    assert split("", 5, 3) == []


def test_a_long_text_is_split_between_words_and_the_rest_is_cut() -> None:
    assert split("one two three four five", 9, 5) == ["one two", "three", "four five"]
    assert split("one two three four five", 9, 2) == ["one two", "three…"]


def test_a_family_and_a_flag_are_never_taken_apart() -> None:
    family = "👩\u200d👩\u200d👧"
    assert cut(family * 3, 20) == family * 2 + "…"
    assert split("🇫🇷" * 3, 9, 9) == ["🇫🇷🇫🇷", "🇫🇷"]


@given(WILD, st.integers(10, 60), st.integers(1, 4))
def test_every_piece_fits_and_nothing_is_invented(text: str, limit: int, most: int) -> None:
    pieces = split(text, limit, most)
    assert len(pieces) <= most
    assert all(piece.strip() and units(piece) <= limit for piece in pieces)
    if len(pieces) < most:
        assert "".join("".join(pieces).split()) == "".join(text.split())


@given(WILD, st.integers(10, 60))
def test_a_cut_text_begins_as_the_whole_one(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert units(short) <= limit
    assert short == text or text.strip().startswith(short[:-1])


@given(WILD)
def test_no_character_is_broken_that_fits(text: str) -> None:
    text = "".join(text.split())  # an accent on a space goes to its neighbour when the space is gone
    whole = set(graphemes(text))
    if all(units(character) < 20 for character in whole):
        assert all(set(graphemes(piece)) <= whole for piece in split(text, 20, 100))


def test_a_list_shows_as_many_whole_lines_as_fit_and_counts_the_rest() -> None:
    assert listed([]) == ""
    assert listed(["one", "two"]) == "one\ntwo"
    posts = ["x" * 700] * 4
    assert listed(posts) == "\n".join([*posts[:2], "… and 2 more"])
    assert units(listed(["y" * 3_000, "z"])) <= 2_000
