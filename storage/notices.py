"""What the owner has to be told: each is kept until somebody has seen it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from storage.ids import utc_text, utc_time


@dataclass(frozen=True, slots=True)
class Notice:
    id: int
    at: datetime
    """When it was last true."""
    kind: str
    message: str
    hint: str
    times: int
    seen_at: datetime | None


def add(db: Database, kind: str, message: str, hint: str, now: datetime) -> Notice:
    """Keep a notice; the same as one that nobody has seen yet only counts it up."""
    with db.atomic():
        same = "kind = ? and message = ? and hint = ? and seen_at is null"
        cursor = db.execute(
            f"update notices set times = times + 1, at = ? where {same}", [utc_text(now), kind, message, hint]
        )
        if cursor.rowcount == 0:
            db.execute(
                "insert into notices (at, kind, message, hint) values (?, ?, ?, ?)",
                [utc_text(now), kind, message, hint],
            )
        return _read(db, f"where {same} limit 1", kind, message, hint)[0]


def unseen(db: Database) -> list[Notice]:
    """Oldest first."""
    return _read(db, "where seen_at is null order by id")


def mark_seen(db: Database, now: datetime, id: int | None = None) -> None:
    """One, or all of them."""
    with db.atomic():
        db.execute("update notices set seen_at = ? where seen_at is null and id = ifnull(?, id)", [utc_text(now), id])


def _read(db: Database, rest: str, *values: str) -> list[Notice]:
    return [
        Notice(
            **row | {"at": utc_time(row["at"]), "seen_at": None if row["seen_at"] is None else utc_time(row["seen_at"])}
        )
        for row in db.query(f"select * from notices {rest}", values)
    ]
