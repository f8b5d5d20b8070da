"""The words of a schedule: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import CommandError
from bot.schedules.cron import parse_cron
from bot.schedules.rules import EVERY_DAY, Cron, Interval, Random, Weekly
from bot.schedules.words import FORMS, parse_words

WEEKDAYS = frozenset(range(5))


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("every day 9:30", Weekly(EVERY_DAY, (time(9, 30),))),
        ("every weekday at 9:30", Weekly(WEEKDAYS, (time(9, 30),))),
        ("  Every   WEEKDAY  9:30 ", Weekly(WEEKDAYS, (time(9, 30),))),
        ("every weekend noon", Weekly(frozenset({5, 6}), (time(12),))),
        ("every mon,thu 18:15", Weekly(frozenset({0, 3}), (time(18, 15),))),
        ("every mon-fri 7", Weekly(WEEKDAYS, (time(7),))),
        ("every fri-mon 7", Weekly(frozenset({4, 5, 6, 0}), (time(7),))),
        ("every tuesday and thursdays at 9pm", Weekly(frozenset({1, 3}), (time(21),))),
        ("every day at 8:00 and 20:00", Weekly(EVERY_DAY, (time(8), time(20)))),
        ("every day 20:00, 8:00, 20:00", Weekly(EVERY_DAY, (time(8), time(20)))),
        ("daily at 12 am", Weekly(EVERY_DAY, (time(0),))),
        ("every 3h", Interval(timedelta(hours=3))),
        ("every 90 minutes", Interval(timedelta(minutes=90))),
        ("every hour", Interval(timedelta(hours=1))),
        ("random 3 a day between 9 and 22", Random(3, time(9), time(22))),
        ("random 3 a day between 9 and 24", Random(3, time(9), time(0))),
        ("random 2 times a day between 22:30 and 1am on weekdays", Random(2, time(22, 30), time(1), WEEKDAYS)),
    ],
)
def test_words_mean_a_rule(words: str, rule: object) -> None:
    assert parse_words(words) == rule


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evry weekday 9:30", "nearest form is: every weekday 9:30"),
        ("every fortnight", "The nearest form is: every"),
        ("every mon", "every mon 9:30"),
        ("every mon 24:00", "A day goes from 0:00 to 23:59"),
        ("every day 25:00", "A day goes from 0:00 to 23:59"),
        ("every day 13pm", "am and pm go with 1 to 12"),
        ("every day 9 o'clock", "is no time of day"),
        ("every wensday 9:00", "Did you mean wednesday?"),
        ("every 2 days at 9:00", "nearest form"),
        ("every 0m", "Such as every 30 minutes"),
        ("every 169h", "168 hours at most"),
        ("random 3 a day", "random 3 a day between 9 and 22"),
        ("random 0 a day between 9 and 22", "From 1 to 96"),
        ("61 * * * *", "'61' is no minute of a cron rule. It goes from 0 to 59"),
        ("0 9 * * mon-funday", "day of the week"),
        ("0 9 5-1 * *", "ends before it begins"),
        ("0 9 30 2 *", "No such day ever comes"),
        ("*/0 * * * *", "is no minute"),
        ("", "nearest form"),
    ],
)
def test_words_that_mean_nothing_are_told_so_with_the_nearest_form(words: str, said: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse_words(words)
    assert said in str(refused.value)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_is_offered_is_understood(form: str) -> None:
    parse_words(form)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60) | st.from_regex(r"every [a-z0-9:, ]{0,20}"))
def test_any_words_are_understood_or_refused(words: str) -> None:
    try:
        parse_words(words)
    except CommandError as refused:
        assert refused.hint


def times_of(cron: str, first: date, days: int) -> list[datetime]:
    rule = parse_cron(cron)
    return [moment for day in range(days) for moment in rule.on(first + timedelta(days=day), "")]


def test_cron_counts_days_of_the_week_as_crontab_does() -> None:
    sunday = date(2026, 11, 29)
    assert [moment.date() for moment in times_of("0 9 * * 0", date(2026, 11, 23), 7)] == [sunday]
    assert parse_cron("0 9 * * 7") == parse_cron("0 9 * * 0") == parse_cron("0 9 * * sun")
    assert parse_cron("0 9 * * 1-5") == parse_cron("0 9 * * mon-fri")
    assert parse_cron("0 9 * * 1-5").weekdays == WEEKDAYS


def test_cron_with_both_day_fields_takes_either_day() -> None:
    # crontab(5): "30 4 1,15 * 5" is on the 1st and 15th of each month, plus every Friday.
    days = [moment.day for moment in times_of("30 4 1,15 * 5", date(2026, 11, 1), 30)]
    assert days == [1, 6, 13, 15, 20, 27]


def test_cron_with_a_star_in_a_day_field_takes_days_that_fit_both() -> None:
    days = [moment.day for moment in times_of("0 0 */2 * 5", date(2026, 11, 1), 30)]
    assert days == [13, 27]  # the odd Fridays


def test_cron_takes_lists_ranges_and_steps() -> None:
    assert parse_cron("0-30/15,50 8-18/5 1 jan,6 *") == Cron(
        frozenset({0, 15, 30, 50}), frozenset({8, 13, 18}), frozenset({1}), frozenset({1, 6}), EVERY_DAY, False
    )


@given(
    st.integers(1, 96),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.dates(date(1990, 1, 1), date(2100, 1, 1)),
    st.text(max_size=26),
)
def test_random_times_belong_to_the_day_and_the_schedule(
    count: int, opens: time, closes: time, day: date, seed: str
) -> None:
    rule = Random(count, opens, closes)
    times = rule.on(day, seed)
    assert times == rule.on(day, seed)
    assert len(times) == count
    assert times == sorted(times)
    start = datetime.combine(day, opens)
    assert all(start <= moment < start + rule.window for moment in times)


def test_random_times_differ_from_day_to_day_and_between_schedules() -> None:
    rule, day = Random(3, time(9), time(22)), date(2026, 11, 24)
    assert len({tuple(moment.time() for moment in rule.on(day + timedelta(days=n), "a")) for n in range(30)}) == 30
    assert rule.on(day, "a") != rule.on(day, "b")
