"""Words as numbers, which never change: the database keeps them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.guard.words import digest, hashes, numbers, pack, unpack


def test_links_and_entities_are_no_words() -> None:
    assert numbers("Fish &amp; chips! https://t.co/abc pic.twitter.com/x") == numbers("fish & chips")


def test_numbers_stay_as_they_are() -> None:
    row = numbers("Good morning, world")
    assert row == [1820610194, 3119136310, 980881731]
    assert len(hashes(row)) == 1
    assert digest(pack(row)) == digest(pack(numbers("good “morning” world")))


@given(st.lists(st.integers(min_value=0, max_value=2**32 - 1)))
def test_numbers_survive_the_database(row: list[int]) -> None:
    assert list(unpack(pack(row))) == row
    assert all(0 <= one < 2**63 for one in [*hashes(row), digest(pack(row))])
    assert len(hashes(row)) == (len(row) - 2 if len(row) > 2 else bool(row))
