"""When a new version speaks in place of the one before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.promotion import judge
from storage.clones import Clone
from tests.reports import quality_report
from trainer.protocol import Compared

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LIMIT = 0.05


def version(number: int) -> Clone:
    return Clone(
        id="C1",
        persona_id="P1",
        version=number,
        recipe="mynah",
        recipe_json="{}",
        base="gpt2",
        base_hash="",
        seed=1,
        requested_by="test",
        source_path=None,
        state="ready",
        state_since=NOW,
        attempts=1,
        counts=None,
        bits_per_byte_before=2.5,
        bits_per_byte_after=1.9,
        loss=None,
        error_kind=None,
        error_message=None,
        error_hint=None,
        created_at=NOW,
        started_at=NOW,
        finished_at=NOW,
    )


def compared(now: float) -> Compared:
    return Compared(posts=50, bits_per_byte_previous=1.9, bits_per_byte=now)


def test_first_version_speaks_whatever_it_is_like() -> None:
    assert judge(None, None, None, LIMIT).promoted
    copying = judge(None, None, quality_report(copy_rate=0.5), LIMIT)
    assert copying.promoted
    assert "50% of its samples repeat posts" in copying.reason


@pytest.mark.parametrize(("bits", "promoted"), [(1.85, True), (1.9, True), (1.901, False)])
def test_later_version_speaks_only_if_it_predicts_no_worse(bits: float, promoted: bool) -> None:
    assert judge(version(1), compared(bits), quality_report(), LIMIT).promoted is promoted


def test_version_that_copies_does_not_speak_however_well_it_predicts() -> None:
    verdict = judge(version(3), compared(1.0), quality_report(copy_rate=0.06), LIMIT)
    assert not verdict.promoted
    assert verdict.reason.endswith("version 3 goes on speaking.")


def test_version_that_cannot_be_compared_does_not_speak() -> None:
    assert not judge(version(1), None, quality_report(), LIMIT).promoted
