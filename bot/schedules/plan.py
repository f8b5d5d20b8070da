"""What a schedule has to do now: its next run, or nothing before a time. It follows from its row, in one transaction.

A run is done once: what became of it is a row, written in the transaction that moves the schedule on. Runs that were
missed (the bot was not running, posting was paused, the clock jumped) are made up for as the schedule's `misfire` says:
none of them (`skip`), one for all of them (`once`), or each (`all`). Those that are not have a row with the reason. Of
runs that are longer ago than `Patience.longest` nothing is made up, and one row stands for all.

Where the clock has gone back behind what was handled, what is due from now on counts, apart from what was done already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from sqlite_utils import Database

from bot.schedules.times import SECOND, Occasion, Quiet, Timetable
from bot.schedules.words import parse_words
from storage import outbox, schedules, switches
from storage.outbox import Decided
from storage.schedules import Outcome, Run, Schedule


@dataclass(frozen=True, slots=True)
class Patience:
    grace: timedelta
    """A run that is begun this much later than it was due is not missed."""
    longest: timedelta
    """Runs that were missed longer ago are not made up for."""


@dataclass(frozen=True, slots=True)
class Due:
    """A run to do now."""

    schedule: Schedule
    run: Occasion


@dataclass(frozen=True, slots=True)
class Waits:
    """Nothing to do before `until`; None where nothing will be, unless something else changes."""

    until: datetime | None


def timetable(schedule: Schedule) -> Timetable:
    """When a schedule is due. Raises CommandError where its words are not understood."""
    return Timetable(
        rule=parse_words(schedule.words),
        zone=ZoneInfo(schedule.zone),
        seed=schedule.id,
        begins=schedule.begins_at,
        ends=schedule.ends_at,
        jitter=timedelta(seconds=schedule.jitter_s),
        quiet=quiet_hours(schedule.quiet) if schedule.action == "post" else None,
    )


def quiet_hours(text: str) -> Quiet | None:
    """`23:00-07:00`, as schedules and settings keep it."""
    if not text:
        return None
    opens, closes = (time.fromisoformat(part) for part in text.split("-"))
    return Quiet(opens, closes)


def plan(db: Database, id: str, now: datetime, patience: Patience) -> Due | Waits:
    """What is next; missed runs that are not made up for are written down."""
    with db.atomic():
        schedule = schedules.find(db, id)
        if schedule is None or schedule.state != "active":
            return Waits(None)
        schedule = _back_with_the_clock(db, schedule, now)
        schedule = _give_up_what_is_too_old(db, schedule, now, now - patience.longest)
        late = list(takewhile(lambda run: run.due <= now, _unhandled(db, schedule, now)))
        pause = switches.get(db, switches.PAUSE) if schedule.action == "post" else None
        missed = [run for run in late if now - run.due > patience.grace]
        skipped, why = _not_made_up_for(schedule, missed, late, paused=pause is not None)
        for run in skipped:
            _settle(db, schedule, run, "skipped", f"Posting was paused: {pause.reason}" if pause else why, None, now)
        left = late[len(skipped) :]
        if not left or pause:
            return Waits(_note_next(db, schedule, now) if not left else None)
        quiet = timetable(schedule).quiet
        zone = ZoneInfo(schedule.zone)
        if quiet is not None and left[0] in missed and quiet.holds(now, zone):
            return Waits(quiet.end(now, zone))
        return Due(schedule, left[0])


def upcoming(db: Database, schedule: Schedule, now: datetime, count: int) -> list[datetime]:
    """When its next runs are due, from now on."""
    if schedule.state != "active":
        return []
    later = (run.due for run in _unhandled(db, schedule, now) if run.due > now)
    return [due for due, _ in zip(later, range(count), strict=False)]


def decide(db: Database, due: Due, post: Decided, now: datetime) -> str | None:
    """Put a run's post into the outbox; its id, or None where the run is not to be done any more.

    The post, the row of the run and the schedule's next time are written together or not at all.
    """
    with db.atomic():
        if switches.get(db, switches.PAUSE) or not _is_open(db, due):
            return None
        id = outbox.decide(db, post, now)
        reason = "" if id else "It had been decided on before."
        _settle(db, due.schedule, due.run, "decided", reason, id, now)
        return id


def settle(db: Database, due: Due, outcome: Outcome, reason: str, now: datetime) -> bool:
    """Write down what became of a run that left no post; False where it is not to be done any more."""
    with db.atomic():
        if not _is_open(db, due):
            return False
        _settle(db, due.schedule, due.run, outcome, reason, None, now)
        return True


def pass_over(db: Database, schedule: Schedule, moment: datetime, reason: str, now: datetime) -> Schedule:
    """Skip every run that was due before a moment, as one row."""
    with db.atomic():
        runs = _unhandled(db, schedule, now)
        first = next(runs, None)
        if first is not None and first.due < moment:
            schedules.record(db, Run(schedule.id, first.due, moment, "skipped", reason, None, now))
            following = next(timetable(schedule).after_moment(moment - SECOND), None)
            until = first.nominal if following is None else following.nominal - SECOND
            if following is None:
                schedules.set_state(db, schedule.id, "ended")
            schedules.set_handled(db, schedule.id, until, moment)
        return _again(db, schedule)


def _back_with_the_clock(db: Database, schedule: Schedule, now: datetime) -> Schedule:
    """Where the clock was ahead when runs were handled, those that are due from now on are open again."""
    if schedule.last_due_at is None or schedule.last_due_at <= now:
        return schedule
    following = next(timetable(schedule).after_moment(now), None)
    if following is None:
        return schedule
    schedules.set_handled(db, schedule.id, following.nominal - SECOND, now)
    _note_next(db, _again(db, schedule), now)
    return _again(db, schedule)


def _give_up_what_is_too_old(db: Database, schedule: Schedule, now: datetime, oldest: datetime) -> Schedule:
    if schedule.next_due_at is None or schedule.next_due_at >= oldest:
        return schedule
    return pass_over(db, schedule, oldest, "They were missed, and too long ago to be made up for.", now)


def _not_made_up_for(
    schedule: Schedule, missed: list[Occasion], late: list[Occasion], *, paused: bool
) -> tuple[list[Occasion], str]:
    """Which of the missed runs are given up, and why. While posting is paused, that can still wait."""
    if schedule.misfire == "skip":
        return missed, "It was missed: Mynah was not there to do it in time."
    if schedule.misfire == "once" and not paused and len(late) > 1:
        others = missed if len(late) > len(missed) else missed[:-1]
        return others, "It was missed, and a later one was done in its place."
    return [], ""


def _unhandled(db: Database, schedule: Schedule, now: datetime) -> Iterator[Occasion]:
    """The runs that are not done yet, in order."""
    table = timetable(schedule)
    clock_went_back = schedule.last_due_at is not None and schedule.last_due_at > now
    series = table.after_moment(now) if clock_went_back else table.after(schedule.handled_until)
    return (run for run in series if not schedules.has_run(db, schedule.id, run.due))


def _is_open(db: Database, due: Due) -> bool:
    """The schedule still runs as it did when the run was planned, and nobody else has done it."""
    now = schedules.find(db, due.schedule.id)
    return now is not None and now.state == "active" and not schedules.has_run(db, now.id, due.run.due)


def _settle(
    db: Database, schedule: Schedule, run: Occasion, outcome: Outcome, reason: str, post_id: str | None, now: datetime
) -> None:
    schedules.record(db, Run(schedule.id, run.due, run.due, outcome, reason, post_id, now))
    schedules.set_handled(db, schedule.id, run.nominal, run.due)
    _note_next(db, _again(db, schedule), now)


def _again(db: Database, schedule: Schedule) -> Schedule:
    found = schedules.find(db, schedule.id)
    assert found is not None
    return found


def _note_next(db: Database, schedule: Schedule, now: datetime) -> datetime | None:
    following = next(_unhandled(db, schedule, now), None)
    schedules.set_next(db, schedule.id, following.due if following else None)
    return following.due if following else None
