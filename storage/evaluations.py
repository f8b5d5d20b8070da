"""What was measured of a clone once it was finished, each time that it was, and where its training was tracked."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from datetime import datetime

from sqlite_utils import Database

from storage.ids import utc_now, utc_time


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures that people ask for in SQL; all of them, with their intervals, are in `report_json`."""

    heldout_posts: int
    bits_per_byte_base: float | None
    bits_per_byte: float | None
    samples: int | None
    copy_rate: float | None
    style_distance: float | None
    who_said_it: float | None
    """Share of single samples whose author a classifier named right."""
    report_json: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    at: datetime
    measured: Measured


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A W&B run; without a url it is offline."""

    job_type: str
    run_id: str
    url: str


_COLUMNS = ", ".join(field.name for field in fields(Measured))


def add(db: Database, clone_id: str, measured: Measured) -> None:
    """Store an evaluation beside earlier ones."""
    db.execute(
        f"insert into evaluations (clone_id, at, {_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [clone_id, utc_now(), *astuple(measured)],
    )


def newest(db: Database, clone_id: str) -> Evaluation | None:
    """The last evaluation of a clone; None where it was never evaluated."""
    rows = db.execute(f"select at, {_COLUMNS} from evaluations where clone_id = ? order by id desc limit 1", [clone_id])
    for at, *measured in rows:
        return Evaluation(utc_time(at), Measured(*measured))
    return None


def record_run(db: Database, clone_id: str, run: TrackedRun) -> None:
    """Store where a part of a clone's training is tracked, in place of what was known."""
    db.execute(
        "insert or replace into tracked_runs (clone_id, job_type, run_id, url) values (?, ?, ?, ?)",
        [clone_id, run.job_type, run.run_id, run.url],
    )


def runs(db: Database, clone_id: str) -> list[TrackedRun]:
    """Where a clone's training is tracked."""
    rows = db.execute("select job_type, run_id, url from tracked_runs where clone_id = ? order by job_type", [clone_id])
    return [TrackedRun(*row) for row in rows]
