"""What there is of a person, and how every trace of it leaves the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from storage import blends, consents, personas

_REQUESTERS = {
    "clones": "requested_by",
    "schedules": "created_by",
    "outbox": "decided_by",
    "choices": "by",
    "switches": "by",
    "confirmations": "by",
    "consents": "asked_by",
}
"""Where it stands who asked for something: on Discord that is a member's id."""
_TOLD = {"clone_history": "detail", "schedule_runs": "reason"}
"""Sentences that may name who asked."""
_NOBODY = "forgotten"


@dataclass(frozen=True, slots=True)
class Traces:
    """What there is of a persona, its blends included."""

    handles: tuple[str, ...]
    """The persona, and the blends that it is a part of."""
    persona_ids: tuple[str, ...]
    clone_ids: tuple[str, ...]
    active_ids: tuple[str, ...]
    """Clones in line or being made."""
    posts: int
    versions: int
    samples: int
    schedules: int
    outbox: int
    consents: int
    elsewhere: tuple[str, ...]
    """Pages outside of this Mynah that go on existing: runs of W&B."""


def traces(db: Database, persona_id: str) -> Traces:
    """Raises StorageError where there is no such persona."""
    personas.get(db, persona_id)
    blended = blends.with_part(db, persona_id)
    rows = _of(db, "select id, handle from personas where id", [persona_id, *blended])
    rows.sort(key=lambda row: (row[0] != persona_id, row[1]))
    ids = [row[0] for row in rows]
    clone_rows = _of(db, "select id, state from clones where persona_id", ids)
    clone_ids = [row[0] for row in clone_rows]
    urls = _of(db, "select distinct url from tracked_runs where url <> '' and clone_id", clone_ids)
    return Traces(
        handles=tuple(row[1] for row in rows),
        persona_ids=tuple(ids),
        clone_ids=tuple(clone_ids),
        active_ids=tuple(row[0] for row in clone_rows if row[1] in ("queued", "collecting", "training")),
        posts=_count(db, "posts", "persona_id", ids),
        versions=sum(row[1] == "ready" for row in clone_rows),
        samples=_count(db, "samples", "clone_id", clone_ids),
        schedules=_count(db, "schedules", "persona_id", ids),
        outbox=_count(db, "outbox", "persona_id", ids),
        consents=_count(db, "consents", "persona_id", ids),
        elsewhere=tuple(row[0] for row in urls if row[0].startswith("http")),
    )


def erase(db: Database, persona_id: str) -> Traces | None:
    """Delete a persona with all that came from it; None, with nothing changed, while a clone of it is being made.

    What others' reports and the owner's notices say of it goes too. Raises StorageError where there is none.
    """
    found = traces(db, persona_id)
    if found.active_ids:
        return None
    with db.atomic():
        for handle in found.handles:
            _take_out_of_reports(db, handle)
            _delete_notices(db, handle)
    personas.erase(db, persona_id)
    return found


def blank_member(db: Database, member_id: str) -> None:
    """Take a member of Discord out of wherever they asked for something, once what is theirs is erased."""
    who = f"discord:{member_id}"
    with db.atomic():
        consents.forget_member(db, member_id)
        for table, column in _REQUESTERS.items():
            db.execute(
                f"update {table} set {column} = ? where {column} = ? or {column} like ?",
                [_NOBODY, who, f"{who}@%"],
            )
        for table, column in _TOLD.items():
            db.execute(
                f"update {table} set {column} = replace({column}, ?, ?) where instr({column}, ?)", [who, _NOBODY, who]
            )
    db.execute("pragma wal_checkpoint(truncate)").fetchall()


def known_ids(db: Database) -> set[str]:
    """Ids of every persona and clone: a file that is named after any other belongs to nobody."""
    return {row[0] for row in db.execute("select id from personas union select id from clones").fetchall()}


def _take_out_of_reports(db: Database, handle: str) -> None:
    """A classifier told others' samples from this person's, and the report names whom it knew."""
    rows = db.execute(
        "select id, report_json from evaluations where instr(report_json, ?) > 0", [json.dumps(handle)]
    ).fetchall()
    for id, text in rows:
        report = _without(json.loads(text), handle)
        db.execute("update evaluations set report_json = ? where id = ?", [json.dumps(report), id])


def _without(value: Any, handle: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(each, handle) for key, each in value.items()}
    if isinstance(value, list):
        return [_without(each, handle) for each in value]
    return _NOBODY if value == handle else value


def _delete_notices(db: Database, handle: str) -> None:
    db.execute("delete from notices where instr(lower(message || ' ' || hint), ?) > 0", [f"@{handle}"])


def _of(db: Database, query: str, ids: list[str]) -> list[tuple[Any, ...]]:
    return list(_in_parts(db, query, ids))


def _count(db: Database, table: str, column: str, ids: list[str]) -> int:
    return sum(int(row[0]) for row in _in_parts(db, f"select count(*) from {table} where {column}", ids))


def _in_parts(db: Database, query: str, ids: list[str]) -> Iterator[tuple[Any, ...]]:
    """`query in (…)`, for as many ids at a time as SQLite takes."""
    for first in range(0, len(ids), 500):
        part = ids[first : first + 500]
        yield from db.execute(f"{query} in ({', '.join('?' * len(part))})", part).fetchall()
