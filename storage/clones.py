"""Clones: one row a training, from the queue to a voice, which holds all that a restart needs to go on with it.

A clone moves between states only along `MOVES`, and every move is written together with a row of its history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict, Unpack

from sqlite_utils import Database

from storage import personas, x_collections
from storage.errors import StorageError, UnderWay
from storage.ids import new_id, utc_now, utc_text, utc_time

State = Literal["queued", "collecting", "training", "ready", "failed", "cancelled"]

MOVES: dict[State, frozenset[State]] = {
    "queued": frozenset({"collecting", "failed", "cancelled"}),
    "collecting": frozenset({"training", "queued", "failed", "cancelled"}),
    "training": frozenset({"ready", "queued", "failed", "cancelled"}),
    "ready": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""Where each state may go. Back to `queued` is a restart: what was interrupted waits in line again."""

_TIMES = frozenset({"state_since", "created_at", "started_at", "finished_at", "spoke_at"})
_FLAGS = frozenset({"is_current", "bundled"})


@dataclass(frozen=True, slots=True)
class Counts:
    """The data table; downloaded = reposts + short + kept."""

    downloaded: int
    reposts: int
    short: int
    kept: int
    duplicates: int
    quoted: int
    characters: int
    train_posts: int
    heldout_posts: int
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Clone:
    id: str
    persona_id: str
    version: int
    """1, 2, … for each persona."""
    recipe: str
    recipe_json: str
    base: str
    base_hash: str | None
    seed: int
    requested_by: str
    source_path: str | None
    """The file to import; None once its posts are stored, or where they already were."""
    state: State
    state_since: datetime
    attempts: int
    """How often work on it began."""
    counts: Counts | None
    bits_per_byte_before: float | None
    bits_per_byte_after: float | None
    loss: float | None
    error_kind: str | None
    error_message: str | None
    error_hint: str | None
    created_at: datetime
    started_at: datetime | None
    """When work on it last began."""
    finished_at: datetime | None
    goes_on_from: str | None = None
    """The clone whose training it goes on with, of which it is a refresh."""
    device: str | None = None
    verdict: str = ""
    """Why it speaks for its persona, or why the version before goes on to."""
    drift_json: str | None = None
    """What changed in the person's posts since the version before, of a refresh."""
    spoke_at: datetime | None = None
    """When it was last made the one that speaks; None where it never was."""


@dataclass(frozen=True, slots=True)
class Move:
    """A line of a clone's history."""

    at: datetime
    from_state: State | None
    to_state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A line of the view `clones_overview`, without what only a clone's own page needs."""

    clone_id: str
    handle: str
    version: int
    state: State
    is_current: bool
    bundled: bool
    recipe: str
    base: str
    posts_downloaded: int | None
    posts_kept: int | None
    bits_per_byte_before: float | None
    bits_per_byte_after: float | None
    model_size_bytes: int | None
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Columns(TypedDict, total=False):
    """What may be written together with a move."""

    base_hash: str
    device: str
    verdict: str
    loss: float
    error_kind: str
    error_message: str
    error_hint: str


def enqueue(
    db: Database,
    persona_id: str,
    recipe: str,
    recipe_json: str,
    base: str,
    seed: int,
    requested_by: str,
    source_path: str | None,
    goes_on_from: str | None = None,
) -> Clone:
    """Put a new version of a persona's clone in line.

    Raises UnderWay while another clone of the persona is in line or being made, or if there is no such persona.
    """
    _refuse_unwritable(source_path)
    with db.atomic():
        refuse_busy(db, persona_id)
        if goes_on_from is not None:
            _forget_vain(db, persona_id)
        clone_id, now = new_id(), utc_now()
        db.execute(
            """
            insert into clones (
                id, persona_id, version, recipe, recipe_json, base, seed, requested_by, source_path, goes_on_from,
                state, state_since, created_at
            )
            select ?, ?, coalesce(max(version), 0) + 1, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?
            from clones where persona_id = ?
            """,
            [
                *(clone_id, persona_id, recipe, recipe_json, base, seed, requested_by, source_path, goes_on_from),
                *(now, now, persona_id),
            ],
        )
        _write_history(db, clone_id, now, None, "queued", "asked for")
        return get(db, clone_id)


def _forget_vain(db: Database, persona_id: str) -> None:
    """Of refreshes that found too little to learn the newest is enough to be shown: one a day would fill every list.

    Those of the last day stay, by which quotas are counted, and the one that knows how far X was read and paid for.
    """
    db.execute(
        """
        delete from clones where persona_id = :persona and goes_on_from is not null
        and state = 'failed' and error_kind = 'too_few_posts' and created_at < :yesterday and id is not :read
        """,
        {
            "persona": persona_id,
            "yesterday": utc_text(datetime.now(UTC) - timedelta(days=1)),
            "read": x_collections.newest_clone(db, persona_id),
        },
    )


def refuse_busy(db: Database, persona_id: str) -> None:
    """Raises UnderWay while a clone of the persona is in line or being made, or if there is no such persona."""
    persona = personas.get(db, persona_id)
    for busy in _read(db, "where persona_id = ? and state in ('queued', 'collecting', 'training')", persona_id):
        raise UnderWay(
            busy.id,
            f"Version {busy.version} of @{persona.handle} is already {busy.state}, for {busy.requested_by}.",
            "Wait until it is ready, or cancel it first.",
        )


def move(db: Database, clone_id: str, to: State, detail: str = "", **columns: Unpack[Columns]) -> Clone:
    """Move a clone to another state and write its history, both or neither; `columns` are written with them.

    Raises StorageError for a move that is not in `MOVES`, or if there is no such clone.
    """
    if unknown := columns.keys() - Columns.__annotations__.keys():
        raise StorageError(f"A move of a clone cannot write {sorted(unknown)}.", "This is a mistake in Mynah.")
    with db.atomic():
        clone = get(db, clone_id)
        if to not in MOVES[clone.state]:
            raise StorageError(
                f"A clone that is {clone.state} cannot become {to}.",
                f"It can become {' or '.join(sorted(MOVES[clone.state])) or 'nothing else: this is its end'}.",
            )
        now = utc_now()
        values: dict[str, Any] = {"state": to, "state_since": now, **columns}
        if to == "collecting":
            values |= {"started_at": now, "attempts": clone.attempts + 1}
        elif to != "queued":
            # The posts are stored now, or are not wanted any more; either way the path to a person's file goes.
            values["source_path"] = None
        if not MOVES[to]:
            values["finished_at"] = now
        assignments = ", ".join(f"{column} = :{column}" for column in values)
        db.execute(f"update clones set {assignments} where id = :id", values | {"id": clone_id})
        _write_history(db, clone_id, now, clone.state, to, detail)
        return get(db, clone_id)


def get(db: Database, clone_id: str) -> Clone:
    """The clone of this id. Raises StorageError where there is none."""
    for clone in _read(db, "where id = ?", clone_id):
        return clone
    raise StorageError(f"There is no clone with the id {clone_id}.", "It may have been erased; see /models.")


def of_persona(db: Database, persona_id: str) -> list[Clone]:
    """A persona's clones, newest version first."""
    return list(_read(db, "where persona_id = ? order by version desc", persona_id))


def in_line(db: Database) -> list[Clone]:
    """The queue in fair order: one of each requester in turn, who was served longest ago first.

    A clone that a restart put back does not count as served, so it keeps its place.
    """
    return list(
        _read(
            db,
            """
            join (
                select id as queued_id, row_number() over (partition by requested_by order by id) as turn,
                    (
                        select max(served.started_at) from clones as served
                        where served.requested_by = queued.requested_by and served.state != 'queued'
                    ) as last_served
                from clones as queued where state = 'queued'
            ) on queued_id = id
            order by turn, coalesce(last_served, ''), id
            """,
        )
    )


def ahead(db: Database, clone_id: str) -> int:
    """How many come before a clone: those in line, and one being made. 0 where it waits no longer."""
    under_way = [clone for clone in active(db) if clone.state != "queued"]
    line = [clone.id for clone in in_line(db)]
    return len(under_way) + line.index(clone_id) if clone_id in line else 0


def active(db: Database) -> list[Clone]:
    """Every clone that is in line or being made, oldest first."""
    return list(_read(db, "where state in ('queued', 'collecting', 'training') order by id"))


def history(db: Database, clone_id: str) -> list[Move]:
    """A clone's moves, oldest first; the first is from no state to `queued`."""
    rows = db.execute(
        "select at, from_state, to_state, detail from clone_history where clone_id = ? order by id", [clone_id]
    )
    return [Move(utc_time(at), from_state, to_state, detail) for at, from_state, to_state, detail in rows]


def overview(db: Database) -> list[Overview]:
    """Every clone as a listing shows it, by handle and version."""
    names = ", ".join(field.name for field in fields(Overview))
    return [Overview(**_typed(row)) for row in db.query(f"select {names} from clones_overview")]


def record_counts(db: Database, clone_id: str, counts: Counts) -> None:
    """Write the data table of a clone. Raises StorageError if there is no such clone."""
    _update(db, clone_id, {field.name: getattr(counts, field.name) for field in fields(Counts)})


def record_quality(
    db: Database, clone_id: str, before: float | None = None, after: float | None = None, loss: float | None = None
) -> None:
    """Write what was measured: held-out bits per byte, and the training loss in nats per token; None leaves as it is.

    Raises StorageError if there is no such clone.
    """
    given = {"bits_per_byte_before": before, "bits_per_byte_after": after, "loss": loss}
    _update(db, clone_id, {name: value for name, value in given.items() if value is not None})


def record_drift(db: Database, clone_id: str, drift_json: str) -> None:
    """Write what changed in the person's posts. Raises StorageError if there is no such clone."""
    _update(db, clone_id, {"drift_json": drift_json})


def _refuse_unwritable(source_path: str | None) -> None:
    try:
        (source_path or "").encode()
    except UnicodeEncodeError as error:
        raise StorageError(f"The path {source_path!a} is not valid UTF-8.", "Rename the file or its folder.") from error


def _write_history(db: Database, clone_id: str, at: str, from_state: State | None, to: State, detail: str) -> None:
    db.execute(
        "insert into clone_history (clone_id, at, from_state, to_state, detail) values (?, ?, ?, ?, ?)",
        [clone_id, at, from_state, to, detail],
    )


def _update(db: Database, clone_id: str, values: dict[str, Any]) -> None:
    with db.atomic():
        get(db, clone_id)
        if values:
            assignments = ", ".join(f"{column} = :{column}" for column in values)
            db.execute(f"update clones set {assignments} where id = :id", values | {"id": clone_id})


def _read(db: Database, rest: str, *values: str) -> Iterator[Clone]:
    for row in db.query(f"select clones.* from clones {rest}", values):
        counts = {field.name: row.pop(field.name) for field in fields(Counts)}
        yield Clone(**_typed(row), counts=None if counts["downloaded"] is None else Counts(**counts))


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its times as datetimes and its flags as bools."""
    times = {name: utc_time(row[name]) for name in _TIMES & row.keys() if row[name] is not None}
    flags = {name: bool(row[name]) for name in _FLAGS & row.keys()}
    return row | times | flags
