"""Length as X counts it: every published case for it, and some of ours."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from bot.guard.links import find_links
from bot.guard.weighted import can_be_sent, weighted_length

CASES = Path(__file__).parents[4] / "shared" / "specs" / "twitter-text" / "conformance"
published = pytest.mark.skipif(not CASES.is_dir(), reason=f"the published cases are not at {CASES}")


def cases(file: str, *names: str) -> list[Any]:
    if not CASES.is_dir():
        return []
    tests = yaml.safe_load((CASES / file).read_text(encoding="utf-8"))["tests"]
    return [pytest.param(case, id=f"{name}: {case['description']}"[:60]) for name in names for case in tests[name]]


@published
@pytest.mark.parametrize(
    "case",
    cases("validate.yml", "WeightedTweetsWithDiscountedEmojiCounterTest", "UnicodeDirectionalMarkerCounterTest"),
)
def test_weighted_length_agrees_with_the_published_case(case: dict[str, Any]) -> None:
    assert weighted_length(case["text"]) == case["expected"]["weightedLength"]
    assert can_be_sent(case["text"]) == case["expected"]["valid"]


@published
def test_published_cases_are_all_there() -> None:
    counted = cases(
        "validate.yml", "WeightedTweetsWithDiscountedEmojiCounterTest", "UnicodeDirectionalMarkerCounterTest"
    )
    assert len(counted) >= 20


@published
@pytest.mark.parametrize("case", cases("extract.yml", "urls", "urls_with_directional_markers", "tco_urls_with_params"))
def test_links_are_those_of_the_published_case(case: dict[str, Any]) -> None:
    assert [case["text"][link.start : link.end] for link in find_links(case["text"])] == [
        one["url"] if isinstance(one, dict) else one for one in case["expected"]
    ]


@published
@pytest.mark.parametrize("name", ["country", "generic"])
def test_every_published_top_level_domain_makes_a_link(name: str) -> None:
    for case in cases("tlds.yml", name):
        text, expected = case.values[0]["text"], case.values[0]["expected"]
        assert [text[link.start : link.end] for link in find_links(text)] == expected


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("good morning", 12),
        ("e\u0301", 1),  # composed before it is counted
        ("日本語", 6),
        ("see example.com/a/very/long/path?with=a&query=too", 4 + 23),
        ("v1.2 is out", 11),
        ("👩‍👩‍👧‍👦", 2),
        ("🇪🇸", 2),
        ("© 2026", 6),
        ("☺\ufe0e", 4),  # asked for as text
        ("a\r\nb", 3),
    ],
)
def test_text_counts_as_x_counts_it(text: str, length: int) -> None:
    assert weighted_length(text) == length


@given(st.text(max_size=80), st.text(max_size=80))
def test_length_is_never_less_than_that_of_half_of_it(one: str, other: str) -> None:
    assert weighted_length(one) <= weighted_length(f"{one}\n\n{other}") + 23


@given(st.text(alphabet="a.-_/()!:@#é한https", max_size=400))
def test_length_of_anything_is_found_at_once(text: str) -> None:
    begun = time.process_time()
    assert weighted_length(text) >= 0
    assert time.process_time() - begun < 1
