"""What a schedule has to do now: missed runs, pauses, clocks that jump, and what is written in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from bot.schedules import plan
from bot.schedules.plan import Due, Patience, Waits
from storage import outbox, personas, schedules, switches
from storage.database import migrate, open_database
from storage.ids import utc_text
from storage.outbox import Decided
from storage.schedules import Misfire, New, Schedule

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
PATIENCE = Patience(timedelta(minutes=10), timedelta(days=1))
HOUR = timedelta(hours=1)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "mynah.db") as db:
        yield db


def begin(db: Database, words: str, misfire: Misfire = "skip", **more: object) -> Schedule:
    persona = personas.ensure(db, "ada")
    asked = {"action": "post", "quiet": "", "begins_at": MONDAY, "ends_at": None, "created_at": MONDAY} | more
    new = New(
        persona_id=persona.id, words=words, kind="weekly", zone="UTC", target="dry", prompt="", jitter_s=0,
        misfire=misfire, created_by="console", **asked,  # type: ignore[arg-type]
    )  # fmt: skip
    schedule = schedules.add(db, new, 10)
    schedules.set_next(db, schedule.id, plan.upcoming(db, schedule, MONDAY, 1)[0])
    return schedule


def post(due: Due, text: str = "A post.") -> Decided:
    key = f"{due.schedule.id}@{utc_text(due.run.due)}"
    return Decided(due.schedule.persona_id, None, due.schedule.id, "dry", text, due.run.due, key)


def do_all(db: Database, schedule: Schedule, now: datetime) -> Waits:
    while isinstance(found := plan.plan(db, schedule.id, now, PATIENCE), Due):
        assert plan.decide(db, found, post(found), now)
    return found


def told(db: Database, schedule: Schedule) -> list[tuple[str, str]]:
    return [(f"{run.due_at:%d %H:%M}", run.outcome) for run in schedules.runs(db, schedule.id, 1000)]


def test_a_run_is_done_when_it_is_due_and_then_the_next_is_waited_for(db: Database) -> None:
    schedule = begin(db, "every day 9:30")
    assert plan.plan(db, schedule.id, MONDAY, PATIENCE) == Waits(MONDAY + 1.5 * HOUR)
    due = plan.plan(db, schedule.id, MONDAY + 1.5 * HOUR, PATIENCE)
    assert isinstance(due, Due)
    id = plan.decide(db, due, post(due), MONDAY + 1.5 * HOUR)
    (stored,) = outbox.read(db, "")
    assert (stored.id, stored.key) == (id, f"{schedule.id}@2026-11-23T09:30:00.000000Z")
    assert plan.plan(db, schedule.id, MONDAY + 2 * HOUR, PATIENCE) == Waits(MONDAY + 25.5 * HOUR)
    assert told(db, schedule) == [("23 09:30", "decided")]


def test_a_run_that_was_planned_twice_is_decided_once(db: Database) -> None:
    schedule = begin(db, "every day 9:30")
    now = MONDAY + 2 * HOUR - timedelta(minutes=25)
    twice = [plan.plan(db, schedule.id, now, PATIENCE) for _ in range(2)]
    decided = [plan.decide(db, due, post(due), now) for due in twice if isinstance(due, Due)]
    assert [id is None for id in decided] == [False, True]
    assert len(outbox.read(db, "")) == 1


@pytest.mark.parametrize(
    ("misfire", "outcomes"),
    [
        ("skip", ["skipped"] * 4),
        ("once", ["skipped", "skipped", "skipped", "decided"]),
        ("all", ["decided"] * 4),
    ],
)
def test_missed_runs_are_made_up_for_as_the_schedule_says(db: Database, misfire: Misfire, outcomes: list[str]) -> None:
    schedule = begin(db, "every 3h", misfire)  # from 8:00
    do_all(db, schedule, MONDAY + 10 * HOUR)
    assert told(db, schedule) == list(zip(["23 08:00", "23 11:00", "23 14:00", "23 17:00"], outcomes, strict=True))


def test_a_run_in_time_takes_the_place_of_those_that_were_missed(db: Database) -> None:
    schedule = begin(db, "every 3h", "once")
    do_all(db, schedule, MONDAY + 9 * HOUR + timedelta(minutes=5))
    assert [outcome for _, outcome in told(db, schedule)] == ["skipped", "skipped", "skipped", "decided"]


def test_what_was_missed_too_long_ago_is_one_line(db: Database) -> None:
    schedule = begin(db, "every 3h", "all")
    do_all(db, schedule, MONDAY + timedelta(days=90))
    first, *rest = schedules.runs(db, schedule.id, 1000)
    assert (first.outcome, first.due_at, first.until_at) == ("skipped", MONDAY, MONDAY + timedelta(days=89))
    assert [run.outcome for run in rest] == ["decided"] * 9


def test_nothing_is_decided_while_posting_is_paused(db: Database) -> None:
    schedule = begin(db, "every 3h", "skip")
    due = plan.plan(db, schedule.id, MONDAY, PATIENCE)
    assert isinstance(due, Due)
    switches.set(db, switches.PAUSE, "at night", "me", MONDAY)
    assert plan.decide(db, due, post(due), MONDAY) is None
    assert do_all(db, schedule, MONDAY) == Waits(None)
    do_all(db, schedule, MONDAY + HOUR)
    (run,) = schedules.runs(db, schedule.id)
    assert (run.outcome, run.reason) == ("skipped", "Posting was paused: at night")
    assert outbox.read(db, "") == []


def test_what_the_pause_held_up_is_made_up_for_after_it(db: Database) -> None:
    schedule = begin(db, "every 3h", "once")
    switches.set(db, switches.PAUSE, "at night", "me", MONDAY)
    assert do_all(db, schedule, MONDAY + 7 * HOUR) == Waits(None)
    assert told(db, schedule) == []
    switches.clear(db, switches.PAUSE)
    do_all(db, schedule, MONDAY + 7 * HOUR)
    assert [outcome for _, outcome in told(db, schedule)] == ["skipped", "skipped", "decided"]


def test_a_missed_run_is_not_made_up_for_in_quiet_hours(db: Database) -> None:
    schedule = begin(db, "every day 22:30", "once", quiet="23:00-07:00")
    at_night, morning = MONDAY + 20 * HOUR, MONDAY + 23 * HOUR
    assert plan.plan(db, schedule.id, at_night, PATIENCE) == Waits(morning)
    do_all(db, schedule, morning)
    assert told(db, schedule) == [("23 22:30", "decided")]


def test_a_clock_that_goes_back_repeats_nothing(db: Database) -> None:
    schedule = begin(db, "every 3h")
    do_all(db, schedule, MONDAY)
    do_all(db, schedule, MONDAY + 3 * HOUR)
    assert do_all(db, schedule, MONDAY - 2 * HOUR) == Waits(MONDAY + 6 * HOUR)
    assert told(db, schedule) == [("23 08:00", "decided"), ("23 11:00", "decided")]


def test_a_clock_that_was_far_ahead_for_a_moment_costs_no_run_of_today(db: Database) -> None:
    schedule = begin(db, "every 3h")
    do_all(db, schedule, MONDAY)
    do_all(db, schedule, MONDAY + timedelta(days=20_000))
    assert do_all(db, schedule, MONDAY + HOUR) == Waits(MONDAY + 3 * HOUR)
    do_all(db, schedule, MONDAY + 3 * HOUR)
    assert do_all(db, schedule, MONDAY + 4 * HOUR) == Waits(MONDAY + 6 * HOUR)
    do_all(db, schedule, MONDAY + 6 * HOUR)
    posted = sorted(post.due_at for post in outbox.read(db, ""))
    assert posted == [MONDAY, MONDAY + 3 * HOUR, MONDAY + 6 * HOUR, MONDAY + timedelta(days=20_000)]


def test_a_schedule_ends_after_its_last_run(db: Database) -> None:
    schedule = begin(db, "every day 9:30", ends_at=MONDAY + 26 * HOUR)
    do_all(db, schedule, MONDAY + 1.5 * HOUR)
    do_all(db, schedule, MONDAY + 25.5 * HOUR)
    ended = schedules.get(db, schedule.number)
    assert (ended.state, ended.next_due_at, len(outbox.read(db, ""))) == ("ended", None, 2)


@cache
def migrated() -> bytes:
    """A database with every table."""
    with Database(memory=True) as db:
        migrate(db)
        return bytes(db.conn.serialize())


steps = st.tuples(
    st.sampled_from(["run", "run", "run", "die before deciding", "down", "pause", "back"]), st.integers(1, 600)
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(steps, max_size=30),
    st.sampled_from(["skip", "once", "all"]),
    st.sampled_from(["every 3h", "10,50 */2 * * *"]),
)
def test_whatever_happens_each_run_is_decided_once_or_listed(
    story: list[tuple[str, int]], misfire: Literal["skip", "once", "all"], words: str
) -> None:
    with Database(memory=True) as db:
        db.conn.deserialize(migrated())
        db.execute("pragma foreign_keys = on")
        schedule = begin(db, words, misfire)
        now = latest = MONDAY
        for what, minutes in story:
            now = now - timedelta(minutes=minutes) if what == "back" else now + timedelta(minutes=minutes)
            if what == "pause":
                before = len(outbox.read(db, ""))
                switches.set(db, switches.PAUSE, "for a test", "me", now)
                do_all(db, schedule, now)
                assert len(outbox.read(db, "")) == before
                switches.clear(db, switches.PAUSE)
            elif what == "die before deciding":
                plan.plan(db, schedule.id, now, PATIENCE)
            elif what == "run":
                do_all(db, schedule, now)
                latest = max(latest, now)
        now = max(now, latest) + timedelta(days=1)
        do_all(db, schedule, now)
        timetable = plan.timetable(schedule)
        every = {run.due for run in takewhile(lambda run: run.due <= now, timetable.after(None))}
        runs = schedules.runs(db, schedule.id, 10_000)
        one = {run.due_at for run in runs if run.is_one}
        ranges = [(run.due_at, run.until_at) for run in runs if not run.is_one]
        assert {due for due in every - one if not any(first <= due < last for first, last in ranges)} == set()
        posts = [stored.due_at for stored in outbox.read(db, "")]
        assert len(posts) == len(set(posts))
        assert set(posts) == {run.due_at for run in runs if run.outcome == "decided"} <= every
