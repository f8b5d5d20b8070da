"""What is switched off until a person switches it on again, and what a person has confirmed; both survive a restart.

`PAUSE` stops all posting. `halt(target)` stops one target's, where its platform said that nothing may be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from storage.ids import utc_text, utc_time

PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Switch:
    name: str
    reason: str
    by: str
    """Who set it: a person by their id, or a part of the bot."""
    at: datetime


def halt(target: str) -> str:
    """The name of the switch that stops a target."""
    return f"halt:{target}"


def set(db: Database, name: str, reason: str, by: str, now: datetime) -> bool:
    """Set a switch; one that is set already stays as it is. Whether it was set now."""
    with db.atomic():
        cursor = db.execute(
            "insert into switches (name, reason, by, at) values (?, ?, ?, ?) on conflict (name) do nothing",
            [name, reason, by, utc_text(now)],
        )
    return cursor.rowcount == 1


def clear(db: Database, name: str) -> bool:
    """Whether there was anything to clear."""
    with db.atomic():
        cursor = db.execute("delete from switches where name = ?", [name])
    return cursor.rowcount == 1


def get(db: Database, name: str) -> Switch | None:
    return next((switch for switch in all(db) if switch.name == name), None)


def all(db: Database) -> list[Switch]:
    """Those that are set, by name."""
    return [Switch(**row | {"at": utc_time(row["at"])}) for row in db.query("select * from switches order by name")]


def confirm(db: Database, name: str, by: str, now: datetime) -> None:
    """Keep that a person has vouched for something that no program can see."""
    with db.atomic():
        db.execute("insert or replace into confirmations (name, by, at) values (?, ?, ?)", [name, by, utc_text(now)])


def confirmed(db: Database, prefix: str) -> str | None:
    """The rest of the name that was confirmed last, of those that begin so."""
    row = db.execute(
        "select substr(name, ?) from confirmations where substr(name, 1, ?) = ? order by at desc, rowid desc limit 1",
        [len(prefix) + 1, len(prefix), prefix],
    ).fetchone()
    return None if row is None else str(row[0])


def is_confirmed(db: Database, name: str) -> bool:
    return db.execute("select 1 from confirmations where name = ?", [name]).fetchone() is not None
