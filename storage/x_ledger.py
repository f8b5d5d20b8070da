"""The ledger of X: a row for every request that may cost something, written before the request is made.

A row is `reserved` until X's answer is there, and counts in full as long as it is: what a process that is gone had
asked for may have been charged. It names no account and holds no text. Money is whole microdollars (10^-6 US dollars).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlite_utils import Database

from storage.errors import StorageError
from storage.ids import new_id, utc_text, utc_time

Kind = Literal["read", "user", "post", "post_with_link"]
State = Literal["reserved", "settled", "released"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Most microdollars in a day and in a month of UTC."""

    day: int
    month: int


@dataclass(frozen=True, slots=True)
class Spent:
    """Microdollars of the day and of the month so far, reservations among them."""

    day: int
    month: int


@dataclass(frozen=True, slots=True)
class Line:
    """Requests of one kind and purpose."""

    kind: Kind
    purpose: str
    requests: int
    units: int
    microdollars: int


@dataclass(frozen=True, slots=True)
class Request:
    id: str
    at: datetime
    kind: Kind
    purpose: str
    units: int
    unit_price: int
    """Microdollars."""
    state: State


def reserve(
    db: Database, kind: Kind, units: int, unit_price: int, purpose: str, limits: Limits, now: datetime
) -> str | None:
    """Set money aside for one request; its id, or None, with nothing written, where a limit would be passed."""
    with db.atomic():
        so_far, price = spent(db, now), units * unit_price
        if so_far.day + price > limits.day or so_far.month + price > limits.month:
            return None
        id = new_id()
        db.execute(
            "insert into x_requests (id, at, kind, purpose, units, unit_price_microdollars, state) "
            "values (?, ?, ?, ?, ?, ?, 'reserved')",
            [id, utc_text(now), kind, purpose, units, unit_price],
        )
        return id


def settle(db: Database, id: str, units: int | None, now: datetime) -> None:
    """The request was, or may have been, charged: for so many units, or for all that were reserved."""
    _close(db, id, "settled", units, now)


def release(db: Database, id: str, now: datetime) -> None:
    """The request was surely not charged."""
    _close(db, id, "released", 0, now)


def spent(db: Database, now: datetime) -> Spent:
    """What was spent since the day and the month began. A clock that went back sees all that came later, too."""
    day, month = _beginnings(now)
    row = db.execute(
        "select coalesce(sum(units * unit_price_microdollars) filter (where at >= ?), 0), "
        "coalesce(sum(units * unit_price_microdollars), 0) from x_requests where at >= ?",
        [day, month],
    ).fetchone()
    return Spent(int(row[0]), int(row[1]))


def by_kind(db: Database, now: datetime) -> list[Line]:
    """The month's requests, dearest first."""
    _, month = _beginnings(now)
    rows = db.execute(
        "select kind, purpose, count(*), sum(units), sum(units * unit_price_microdollars) as cost from x_requests "
        "where at >= ? group by kind, purpose order by cost desc, kind, purpose",
        [month],
    )
    return [Line(*row) for row in rows]


def newest(db: Database, count: int) -> list[Request]:
    """The latest requests, newest first."""
    rows = db.execute(
        "select id, at, kind, purpose, units, unit_price_microdollars, state from x_requests order by id desc limit ?",
        [count],
    )
    return [Request(row[0], utc_time(row[1]), *row[2:]) for row in rows]


def _beginnings(now: datetime) -> tuple[str, str]:
    """Of the day and of the month of UTC, as the database writes times."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return utc_text(day), utc_text(day.replace(day=1))


def _close(db: Database, id: str, state: State, units: int | None, now: datetime) -> None:
    with db.atomic():
        changed = db.execute(
            "update x_requests set state = ?, units = coalesce(?, units), closed_at = ? "
            "where id = ? and state = 'reserved'",
            [state, units, utc_text(now), id],
        ).rowcount
        if not changed:
            raise StorageError(f"The request {id} is not reserved.", "This is a mistake in Mynah.")
