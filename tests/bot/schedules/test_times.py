"""When a schedule is due: zones, clocks that change, leap days, quiet hours, jitter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.schedules.rules import EVERY_DAY, Interval, Random, Weekly
from bot.schedules.times import Occasion, Quiet, Timetable, resolve
from bot.schedules.words import parse_words

MADRID = ZoneInfo("Europe/Madrid")
NAMES = (
    "UTC", "Europe/Madrid", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Sao_Paulo",
    "Asia/Kathmandu", "Asia/Tehran", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham",
    "Antarctica/Troll",
)  # fmt: skip
zones = st.sampled_from(NAMES).map(ZoneInfo)
walls = st.datetimes(datetime.combine(date(1990, 1, 1), time()), datetime.combine(date(2060, 1, 1), time()))
moments = walls.map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC))
times_of_day = st.times().map(lambda at: at.replace(second=0, microsecond=0, fold=0))
rules = st.one_of(
    st.builds(
        Weekly,
        st.frozensets(st.integers(0, 6), min_size=1),
        st.lists(times_of_day, min_size=1, max_size=4, unique=True).map(tuple),
    ),
    st.builds(Random, st.integers(1, 12), times_of_day, times_of_day),
    st.builds(Interval, st.integers(10, 10_000).map(lambda minutes: timedelta(minutes=minutes))),
    st.sampled_from(["*/20 * * * *", "30 9 * * 1-5", "15 2,3 * * *", "0 0 1 * *", "0 9 13 * 5"]).map(parse_words),
)


def table(words: str, begins: datetime, zone: tzinfo = MADRID, **more: object) -> Timetable:
    return Timetable(parse_words(words), zone, "seed", begins, **more)  # type: ignore[arg-type]


def on_the_wall(runs: Iterator[Occasion], count: int, zone: tzinfo = MADRID) -> list[str]:
    return [f"{run.due.astimezone(zone):%d %b %H:%M %z}" for run in islice(runs, count)]


def test_half_past_nine_stays_half_past_nine_in_both_directions() -> None:
    spring = table("every day 9:30", datetime(2026, 3, 28, tzinfo=UTC))
    assert on_the_wall(spring.after(None), 3) == ["28 Mar 09:30 +0100", "29 Mar 09:30 +0200", "30 Mar 09:30 +0200"]
    autumn = table("every day 9:30", datetime(2026, 10, 24, tzinfo=UTC))
    assert on_the_wall(autumn.after(None), 3) == ["24 Oct 09:30 +0200", "25 Oct 09:30 +0100", "26 Oct 09:30 +0100"]


def test_a_time_that_does_not_exist_comes_at_the_first_moment_after_the_gap() -> None:
    runs = table("every day 2:30", datetime(2026, 3, 28, tzinfo=UTC)).after(None)
    assert on_the_wall(runs, 3) == ["28 Mar 02:30 +0100", "29 Mar 03:00 +0200", "30 Mar 02:30 +0200"]


def test_times_that_fall_together_in_a_gap_are_one() -> None:
    runs = table("every day at 2:10, 2:50 and 3:00", datetime(2026, 3, 28, 12, tzinfo=UTC)).after(None)
    assert on_the_wall(runs, 2) == ["29 Mar 03:00 +0200", "30 Mar 02:10 +0200"]


def test_a_time_that_comes_twice_counts_the_first_time() -> None:
    runs = table("every day 2:30", datetime(2026, 10, 24, 12, tzinfo=UTC)).after(None)
    assert on_the_wall(runs, 2) == ["25 Oct 02:30 +0200", "26 Oct 02:30 +0100"]


def test_an_interval_is_time_that_passes() -> None:
    runs = table("every 3h", datetime(2026, 10, 24, 23, tzinfo=UTC)).after(None)
    assert on_the_wall(runs, 3) == ["25 Oct 01:00 +0200", "25 Oct 03:00 +0100", "25 Oct 06:00 +0100"]


def test_leap_day_comes_in_leap_years_only_and_2100_is_none() -> None:
    runs = table("0 9 29 2 *", datetime(2091, 1, 1, tzinfo=UTC)).after(None)
    assert [run.due.year for run in islice(runs, 3)] == [2092, 2096, 2104]


def test_a_day_that_a_zone_left_out_is_made_up_for_at_its_end() -> None:
    apia = ZoneInfo("Pacific/Apia")  # went from 29 to 31 December 2011
    runs = table("every day 9:30", datetime(2011, 12, 29, 12, tzinfo=UTC), apia).after(None)
    assert on_the_wall(runs, 3, apia) == ["29 Dec 09:30 -1000", "31 Dec 00:00 +1400", "31 Dec 09:30 +1400"]


@given(rules, zones, moments, st.integers(0, 90), st.text(max_size=5))
def test_runs_are_in_order_and_begin_when_they_should(
    rule: Random, zone: ZoneInfo, begins: datetime, jitter: int, seed: str
) -> None:
    runs = list(islice(Timetable(rule, zone, seed, begins, jitter=timedelta(minutes=jitter)).after(None), 25))
    assert runs
    assert runs[0].due >= begins
    assert all(one.due < next.due and one.nominal < next.nominal for one, next in pairwise(runs))


@given(rules, zones, moments, st.integers(0, 90), st.integers(0, 20))
def test_runs_are_the_same_from_wherever_one_goes_on(
    rule: Random, zone: ZoneInfo, begins: datetime, jitter: int, place: int
) -> None:
    """A restart, at any moment, keeps every time."""
    timetable = Timetable(rule, zone, "seed", begins, jitter=timedelta(minutes=jitter))
    runs = list(islice(timetable.after(None), 24))
    assert list(islice(timetable.after(runs[place].nominal), 3)) == runs[place + 1 : place + 4]
    assert list(islice(timetable.after_moment(runs[place].due), 3)) == runs[place + 1 : place + 4]
    just_before = runs[place].due - timedelta(seconds=1)
    assert next(timetable.after_moment(just_before)) == runs[place]


@given(zones, moments, times_of_day)
def test_a_daily_time_comes_once_on_each_day_of_the_wall(zone: ZoneInfo, begins: datetime, at: time) -> None:
    runs = list(islice(Timetable(Weekly(EVERY_DAY, (at,)), zone, "", begins).after(None), 370))
    days = [run.nominal.date() for run in runs]
    assert days == [days[0] + timedelta(days=number) for number in range(370)]
    for run in runs:
        shown = run.due.astimezone(zone)
        if shown.replace(tzinfo=None) == run.nominal:
            assert shown.fold == 0
        else:  # it did not exist: one second earlier the wall showed less than it
            assert (run.due - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None) < run.nominal
            assert shown.replace(tzinfo=None) > run.nominal


@given(zones, walls, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_resolve_never_goes_back(zone: ZoneInfo, nominal: datetime, later: timedelta) -> None:
    nominal = nominal.replace(microsecond=0)
    assert resolve(nominal, zone) <= resolve(nominal + later, zone)


class OneChange(tzinfo):
    """A zone that is `before` UTC until a moment, and `after` UTC from then on."""

    def __init__(self, change: datetime, before: timedelta, after: timedelta) -> None:
        self.change, self.before, self.after = change.replace(tzinfo=None), before, after

    def utcoffset(self, wall: datetime | None) -> timedelta:
        assert wall is not None
        bare = wall.replace(tzinfo=None)
        first, last = (offset + self.change for offset in (self.before, self.after))
        if bare < min(first, last):
            return self.before
        if bare >= max(first, last):
            return self.after
        return self.after if wall.fold else self.before

    def tzname(self, wall: datetime | None) -> str:
        return "One change"

    def dst(self, wall: datetime | None) -> timedelta:
        return timedelta(0)

    def fromutc(self, moment: datetime) -> datetime:
        bare = moment.replace(tzinfo=None)
        if bare < self.change:
            return (bare + self.before).replace(tzinfo=self)
        twice = bare < self.change + max(self.before - self.after, timedelta(0))
        return (bare + self.after).replace(tzinfo=self, fold=int(twice))


@given(
    st.integers(-14, 14), st.integers(-14, 14), st.integers(0, 40 * 24 * 60), st.integers(0, 40 * 24 * 60), times_of_day
)
def test_a_zone_that_changes_its_rules_moves_runs_and_neither_doubles_nor_loses_any(
    before: int, after: int, changes: int, learned: int, at: time
) -> None:
    """The new rules are learned at any moment: before they hold, or after, so that some runs were too early or late."""
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    assume(abs(after - before) < 24)
    old = OneChange(begins, timedelta(hours=before), timedelta(hours=before))
    new = OneChange(begins + timedelta(minutes=changes), timedelta(hours=before), timedelta(hours=after))
    rule, now = Weekly(EVERY_DAY, (at,)), begins + timedelta(minutes=learned)
    done = [run for run in islice(Timetable(rule, old, "", begins).after(None), 60) if run.due <= now]
    handled = done[-1].nominal if done else None
    rest = list(islice(Timetable(rule, new, "", begins).after(handled), 60 - len(done)))
    days = [run.nominal.date() for run in (*done, *rest)]
    assert days == [days[0] + timedelta(days=number) for number in range(60)]


@given(rules, zones, moments, times_of_day, times_of_day, st.integers(0, 120))
def test_nothing_is_due_in_quiet_hours(
    rule: Random, zone: ZoneInfo, begins: datetime, opens: time, closes: time, jitter: int
) -> None:
    assume(opens != closes and not isinstance(rule, Weekly))
    quiet = Quiet(opens, closes)
    timetable = Timetable(rule, zone, "s", begins, begins + timedelta(days=20), timedelta(minutes=jitter), quiet)
    for run in islice(timetable.after(None), 20):
        assert not quiet.holds(run.due, zone)
        assert run.due <= begins + timedelta(days=20)


@given(zones, moments, times_of_day, times_of_day)
def test_the_end_of_quiet_is_not_quiet(zone: ZoneInfo, moment: datetime, opens: time, closes: time) -> None:
    quiet = Quiet(opens, closes)
    assume(opens != closes and quiet.holds(moment, zone))
    end = quiet.end(moment, zone)
    assert moment < end <= moment + timedelta(hours=50)
    shown = end.astimezone(zone).time()
    assert shown >= closes or shown == closes


def test_jitter_stays_before_the_next_run_and_differs() -> None:
    runs = list(islice(table("every 10m", datetime(2026, 1, 1, tzinfo=UTC), jitter=timedelta(hours=2)).after(None), 50))
    nominal = [datetime(2026, 1, 1, tzinfo=UTC) + number * timedelta(minutes=10) for number in range(51)]
    assert all(start <= run.due < end for run, start, end in zip(runs, nominal, nominal[1:], strict=False))
    assert len({run.due - start for run, start in zip(runs, nominal, strict=False)}) > 25


@pytest.mark.parametrize("words", ["every weekday 9:30", "every 3h", "random 3 a day between 9 and 22"])
def test_nothing_is_due_after_the_end(words: str) -> None:
    begins = datetime(2026, 5, 4, tzinfo=UTC)
    runs = list(table(words, begins, ends=begins + timedelta(days=7)).after(None))
    assert 5 <= len(runs) <= 57
    assert runs[-1].due <= begins + timedelta(days=7)
    assert date(2026, 5, 4) <= runs[0].nominal.date()
