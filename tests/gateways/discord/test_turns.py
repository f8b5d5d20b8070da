"""How often personas may speak in a channel, and when they are quiet."""

from __future__ import annotations

from datetime import datetime

import pytest

from bot.errors import CommandError
from bot.gateways.discord.turns import Turns, is_quiet, quiet_hours
from bot.settings.speaking import Speaking


class Watch:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_turns_are_limited_in_a_minute_and_in_an_hour() -> None:
    watch = Watch()
    turns, settings = Turns(watch), Speaking(turns_a_minute=2, turns_an_hour=4)
    taken = []
    for moment in (0, 1, 2, 61, 62, 130, 3_600, 3_601):
        watch.now_s = moment
        taken.append(turns.take(7, settings))
    assert taken == [True, True, False, True, True, False, True, True]
    assert turns.take(8, settings)


def test_nobody_chimes_in_again_at_once() -> None:
    watch = Watch()
    turns, settings = Turns(watch), Speaking(chime_minutes=10)
    assert turns.may_chime(7, settings) and turns.may_chime(8, settings)
    watch.now_s = 599
    assert not turns.may_chime(7, settings)
    watch.now_s = 600
    assert turns.may_chime(7, settings)


@pytest.mark.parametrize(
    ("words", "hours"),
    [("23-7", ("23:00", "07:00")), (" 22:30 – 07:15 ", ("22:30", "07:15")), ("no", None), ("", None)],
)
def test_quiet_hours_are_read(words: str, hours: tuple[str, str] | None) -> None:
    assert quiet_hours(words) == hours


@pytest.mark.parametrize("words", ["7", "24-7", "a-b", "1-2-3", "7:75-8"])
def test_other_quiet_hours_are_refused(words: str) -> None:
    with pytest.raises(CommandError, match="are no hours"):
        quiet_hours(words)


@pytest.mark.parametrize(
    ("begins", "ends", "at", "quiet"),
    [
        ("23:00", "07:00", "23:00", True),
        ("23:00", "07:00", "06:59", True),
        ("23:00", "07:00", "07:00", False),
        ("12:00", "13:00", "12:30", True),
        ("12:00", "13:00", "11:59", False),
        ("12:00", "12:00", "12:00", False),
        (None, None, "12:00", False),
    ],
)
def test_hours_are_quiet_around_midnight_too(begins: str | None, ends: str | None, at: str, quiet: bool) -> None:
    assert is_quiet(begins, ends, datetime.fromisoformat(f"2026-11-24T{at}")) is quiet
