"""Blends: personas that speak like several people at once, and whose posts each version of them heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

from sqlite_utils import Database


@dataclass(frozen=True, slots=True)
class Part:
    """Somebody in a blend."""

    persona_id: str
    handle: str
    share: float
    """Of the characters that are heard; the shares of a blend add up to 1."""


@dataclass(frozen=True, slots=True)
class PersonHeard:
    """A person's row of a blend's data table, as it was measured."""

    handle: str
    downloaded: int
    reposts: int
    short: int
    kept: int
    characters: int
    share: float


def set_parts(db: Database, persona_id: str, shares: Mapping[str, float]) -> None:
    """Say whom a persona is blended of, by persona id, in place of what was known."""
    with db.atomic():
        db.execute("delete from blend_parts where persona_id = ?", [persona_id])
        for part_id, share in shares.items():
            db.execute(
                "insert into blend_parts (persona_id, part_id, share) values (?, ?, ?)", [persona_id, part_id, share]
            )


def parts(db: Database, persona_id: str) -> list[Part]:
    """Whom a persona is blended of; nobody where it is no blend."""
    rows = db.execute(
        "select part_id, handle, share from blend_parts join personas on personas.id = part_id "
        "where persona_id = ? order by share desc, handle",
        [persona_id],
    )
    return [Part(*row) for row in rows]


def with_part(db: Database, persona_id: str) -> list[str]:
    """Ids of the personas that are blended of one, or of which a version was before they were blended anew."""
    rows = db.execute(
        "select persona_id from blend_parts where part_id = ? union "
        "select clones.persona_id from clone_people join clones on clones.id = clone_id "
        "where clone_people.handle = (select handle from personas where id = ?) and clones.persona_id <> ?",
        [persona_id, persona_id, persona_id],
    )
    return [row[0] for row in rows.fetchall()]


def is_blend(db: Database, persona_id: str) -> bool:
    """Whether a persona is blended of others."""
    return bool(
        db.execute("select exists (select 1 from blend_parts where persona_id = ?)", [persona_id]).fetchone()[0]
    )


def record_people(db: Database, clone_id: str, people: Iterable[PersonHeard]) -> None:
    """Store the rows of a clone's data table, in place of what was known."""
    with db.atomic():
        db.execute("delete from clone_people where clone_id = ?", [clone_id])
        for person in people:
            db.execute("insert into clone_people values (?, ?, ?, ?, ?, ?, ?, ?)", [clone_id, *astuple(person)])


def people(db: Database, clone_id: str) -> list[PersonHeard]:
    """The rows of a blended clone's data table, the largest share first."""
    rows = db.execute(
        "select handle, downloaded, reposts, short, kept, characters, share from clone_people "
        "where clone_id = ? order by share desc, handle",
        [clone_id],
    )
    return [PersonHeard(*row) for row in rows]
