"""Schedules, and what became of each of their runs. These rows are the truth: what keeps the time is made from them.

`handled_until` is the nominal time (on the schedule's own wall, without a zone) up to which every run was handled.
`next_due_at` follows from it and from the words; it is there for listings and to know what to wait for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlite_utils import Database

from storage.errors import StorageError
from storage.ids import new_id, utc_text, utc_time

Action = Literal["post", "refresh"]
Kind = Literal["weekly", "cron", "interval", "random"]
Misfire = Literal["skip", "once", "all"]
State = Literal["active", "paused", "ended"]
Outcome = Literal["decided", "refreshed", "skipped"]

_TIMES = ("begins_at", "ends_at", "created_at", "last_due_at", "next_due_at")


@dataclass(frozen=True, slots=True)
class New:
    """A schedule that somebody asks for."""

    persona_id: str
    action: Action
    words: str
    """As they were typed."""
    kind: Kind
    zone: str
    target: str
    """Where posts go: `x`, `discord:CHANNEL`, `webhook:ID` or `dry`; empty for a refresh."""
    prompt: str
    jitter_s: int
    quiet: str
    """Hours in which nothing is due, such as `23:00-07:00`, or nothing."""
    begins_at: datetime
    ends_at: datetime | None
    misfire: Misfire
    """What becomes of runs that were missed."""
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Schedule(New):
    id: str
    number: int
    """What people call it by."""
    state: State
    handled_until: datetime | None
    """A nominal time, without a zone."""
    last_due_at: datetime | None
    """When the last run that was handled had been due."""
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a run, or of all that were due from one moment to another."""

    schedule_id: str
    due_at: datetime
    until_at: datetime
    outcome: Outcome
    reason: str
    post_id: str | None
    """The post that was decided on."""
    at: datetime

    @property
    def is_one(self) -> bool:
        """It speaks of one run, not of a time in which there may have been several."""
        return self.due_at == self.until_at


def add(db: Database, new: New, most: int) -> Schedule:
    """Write a schedule down. Raises StorageError where its persona has `most` already that have not ended."""
    with db.atomic():
        count = "select count(*) from schedules where persona_id = ? and state <> 'ended'"
        if db.execute(count, [new.persona_id]).fetchone()[0] >= most:
            raise StorageError(f"There are {most} schedules for this persona already.", "Remove one: /schedule list")
        id = new_id()
        db.execute(
            """
            insert into schedules (id, number, persona_id, action, words, kind, zone, target, prompt, jitter_s, quiet,
                begins_at, ends_at, misfire, state, created_by, created_at)
            values (?, (select coalesce(max(number), 0) + 1 from schedules),
                ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'active', ?, ?)
            """,
            [
                id, new.persona_id, new.action, new.words, new.kind, new.zone, new.target, new.prompt, new.jitter_s,
                new.quiet, utc_text(new.begins_at), _text(new.ends_at), new.misfire, new.created_by,
                utc_text(new.created_at),
            ],
        )  # fmt: skip
        return _read(db, "where id = ?", id)[0]


def find(db: Database, id: str) -> Schedule | None:
    return next(iter(_read(db, "where id = ?", id)), None)


def get(db: Database, number: int) -> Schedule:
    """Raises StorageError where there is no schedule of this number."""
    found = _read(db, "where number = ?", number)
    if not found:
        raise StorageError(f"There is no schedule {number}.", "See /schedule list.")
    return found[0]


def listed(db: Database, persona_id: str | None = None) -> list[Schedule]:
    """Those of a persona, or all, by number."""
    return _read(db, "where persona_id = ? order by number", persona_id) if persona_id else _read(db, "order by number")


def active(db: Database) -> list[str]:
    """The ids of those that run."""
    return [row[0] for row in db.execute("select id from schedules where state = 'active' order by number").fetchall()]


def remove(db: Database, id: str) -> None:
    """With what became of its runs; posts that were decided on stay in the outbox."""
    with db.atomic():
        db.execute("delete from schedules where id = ?", [id])


def set_state(db: Database, id: str, state: State) -> None:
    with db.atomic():
        db.execute("update schedules set state = ? where id = ?", [state, id])


def set_next(db: Database, id: str, next_due_at: datetime | None) -> None:
    """When the next run is due; a schedule that runs and has none has ended."""
    with db.atomic():
        db.execute(
            "update schedules set next_due_at = ?, state = iif(state = 'active' and ? is null, 'ended', state)"
            " where id = ? and (next_due_at is not ? or state = 'active' and ? is null)",
            [_text(next_due_at), _text(next_due_at), id, _text(next_due_at), _text(next_due_at)],
        )


def set_handled(db: Database, id: str, until: datetime, last_due_at: datetime) -> None:
    """Every run up to a nominal time was handled; the last of them was due then."""
    with db.atomic():
        db.execute(
            "update schedules set handled_until = ?, last_due_at = ? where id = ?",
            [until.isoformat(), utc_text(last_due_at), id],
        )


def record(db: Database, run: Run) -> None:
    """Keep what became of a run."""
    with db.atomic():
        db.execute(
            """
            insert into schedule_runs (schedule_id, due_at, until_at, outcome, reason, post_id, at)
            values (?, ?, ?, ?, ?, ?, ?)
            on conflict (schedule_id, due_at) do update set until_at = excluded.until_at, outcome = excluded.outcome,
                reason = excluded.reason, post_id = excluded.post_id, at = excluded.at
            """,
            [
                run.schedule_id, utc_text(run.due_at), utc_text(run.until_at), run.outcome, run.reason, run.post_id,
                utc_text(run.at),
            ],
        )  # fmt: skip


def has_run(db: Database, id: str, due_at: datetime) -> bool:
    """Whether it is known what became of the run that was due then."""
    found = "select 1 from schedule_runs where schedule_id = ? and due_at = ? and until_at = due_at"
    return db.execute(found, [id, utc_text(due_at)]).fetchone() is not None


def runs(db: Database, id: str, limit: int = 20) -> list[Run]:
    """What became of the last runs, oldest first."""
    rows = db.query("select * from schedule_runs where schedule_id = ? order by due_at desc limit ?", [id, limit])
    found = [Run(**row | {name: utc_time(row[name]) for name in ("due_at", "until_at", "at")}) for row in rows]
    return found[::-1]


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)


def _read(db: Database, rest: str, *values: str | int) -> list[Schedule]:
    found = []
    for row in db.query(f"select * from schedules {rest}", values):
        times = {name: None if row[name] is None else utc_time(row[name]) for name in _TIMES}
        handled = None if row["handled_until"] is None else datetime.fromisoformat(row["handled_until"])
        found.append(Schedule(**row | times | {"handled_until": handled}))
    return found
