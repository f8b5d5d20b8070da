"""Personas: who can speak. A persona has a handle, posts, and the clones trained on them, one of which is current."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from storage import blends, originality, weights
from storage.errors import StorageError
from storage.ids import new_id, utc_now, utc_time

_HANDLE = re.compile(r"(?=.*\w)[\w.@-]{1,64}")


@dataclass(frozen=True, slots=True)
class Persona:
    id: str
    handle: str
    display_name: str
    source: str
    bundled: bool
    """Shipped with Mynah, not made from a person's import."""
    current_clone_id: str | None
    created_at: datetime


def normalise_handle(handle: str) -> str:
    """The handle as the database knows it: `" @Foo "` becomes `"foo"`.

    Raises StorageError for one that is empty, longer than 64 characters or holds anything but letters, digits and ._@-
    """
    normal = handle.strip().lstrip("@").lower()
    if _HANDLE.fullmatch(normal) is None:
        raise StorageError(
            f"{handle[:80]!r} is not a handle.",
            "A handle has 1 to 64 letters, digits or the signs . _ - @, such as @ada or ada@example.social.",
        )
    return normal


def ensure(db: Database, handle: str, display_name: str = "", source: str = "", bundled: bool = False) -> Persona:
    """The persona of this handle, made if it is not there; a name or source that is given replaces the known one."""
    normal = normalise_handle(handle)
    with db.atomic():
        db.execute(
            """
            insert into personas (id, handle, display_name, source, bundled, created_at) values (?, ?, ?, ?, ?, ?)
            on conflict (handle) do update set
                display_name = iif(excluded.display_name = '', display_name, excluded.display_name),
                source = iif(excluded.source = '', source, excluded.source)
            """,
            [new_id(), normal, display_name, source, int(bundled), utc_now()],
        )
        (persona,) = _read(db, "where handle = ?", normal)
    return persona


def find(db: Database, handle: str) -> Persona | None:
    """The persona of this handle, in whatever case and with or without its @."""
    return next(_read(db, "where handle = ?", normalise_handle(handle)), None)


def get(db: Database, persona_id: str) -> Persona:
    """The persona of this id. Raises StorageError where there is none."""
    persona = next(_read(db, "where id = ?", persona_id), None)
    if persona is None:
        raise StorageError(f"There is no persona with the id {persona_id}.", "It may have been erased; see /models.")
    return persona


def all(db: Database) -> list[Persona]:
    """Every persona, by handle."""
    return list(_read(db, "order by handle"))


def known(db: Database) -> list[Persona]:
    """By handle, those who have posts, or a clone that is ready or may still be: not whose only clones failed."""
    return list(
        _read(
            db,
            "where exists (select 1 from posts where persona_id = personas.id) or exists"
            " (select 1 from clones where persona_id = personas.id and state not in ('failed', 'cancelled'))"
            " order by handle",
        )
    )


def set_current(db: Database, persona_id: str, clone_id: str | None) -> None:
    """Make a clone the one that speaks for its persona; None leaves the persona without a voice.

    Raises StorageError unless the clone belongs to the persona and is ready.
    """
    with db.atomic():
        persona = get(db, persona_id)
        if clone_id is not None:
            row = db.execute("select persona_id, state from clones where id = ?", [clone_id]).fetchone()
            if row != (persona_id, "ready"):
                raise StorageError(
                    f"Clone {clone_id} is not a ready clone of @{persona.handle}.", "See /versions for those that are."
                )
            db.execute("update clones set spoke_at = ? where id = ?", [utc_now(), clone_id])
        db.execute("update personas set current_clone_id = ? where id = ?", [clone_id, persona_id])


def erase(db: Database, persona_id: str) -> None:
    """Delete a persona and all that came from it: posts, clones, their histories, samples and models, and blends.

    Tensors that no other model uses go too. Nothing is left in the file's free pages or in the write-ahead log: the
    connection has `secure_delete` on, and the log is emptied afterwards. Raises StorageError where there is none.
    """
    with db.atomic():
        get(db, persona_id)
        for id in (*blends.with_part(db, persona_id), persona_id):
            db.execute("delete from personas where id = ?", [id])
        weights.prune(db)
        originality.prune(db)
    db.execute("pragma wal_checkpoint(truncate)").fetchall()


def _read(db: Database, where: str, *values: str) -> Iterator[Persona]:
    for row in db.query(f"select * from personas {where}", values):
        yield Persona(**row | {"bundled": bool(row["bundled"]), "created_at": utc_time(row["created_at"])})
