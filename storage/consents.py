"""Consents: on what ground each voice was learned, what it may be used for, and whom a member was asked for.

Grounds:
    own_archive  an archive that only the person can download
    own_word     the person said so, or handed the file over themselves
    own_account  the account that is connected to this Mynah
    owner        the owner of this Mynah says that they may
    allow_list   the handle is on the owner's list
    policy       the owner lets any handle be cloned
    invented     nobody's: written for Mynah
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlite_utils import Database

from storage.errors import NoConsent, StorageError
from storage.ids import new_id, utc_now, utc_text, utc_time

Ground = Literal["own_archive", "own_word", "own_account", "owner", "allow_list", "policy", "invented"]
Use = Literal["train", "speak", "post", "share"]

ALL_USES: tuple[Use, ...] = ("train", "speak", "post", "share")


@dataclass(frozen=True, slots=True)
class Consent:
    id: str
    persona_id: str
    clone_id: str | None
    subject: str
    """Whose voice: a handle, or the id of a platform, such as discord:123."""
    ground: Ground
    scope: tuple[Use, ...]
    asked_by: str
    source: str
    """The kind of file or service that the posts came from."""
    at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Request:
    """A member of Discord is asked whether they may be cloned."""

    id: str
    member_id: str
    asked_by: str
    channel_id: str
    message_id: str | None
    recipe: str | None
    created_at: datetime
    agreed_at: datetime | None


def record(
    db: Database,
    persona_id: str,
    ground: Ground,
    subject: str,
    asked_by: str,
    source: str,
    scope: tuple[Use, ...] = ALL_USES,
    clone_id: str | None = None,
    at: datetime | None = None,
) -> Consent:
    """Write down on what ground a persona's posts are used from now on, or since a member of Discord agreed."""
    id = new_id()
    with db.atomic():
        db.execute(
            "insert into consents (id, persona_id, clone_id, subject, ground, scope, asked_by, source, at) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                id,
                persona_id,
                clone_id,
                subject,
                ground,
                " ".join(scope),
                asked_by,
                source,
                utc_text(at) if at else utc_now(),
            ],
        )
        return next(_read(db, "where id = ?", id))


def newest(db: Database, persona_id: str) -> Consent | None:
    """The one that counts; None for a persona from before consents were kept."""
    return next(_read(db, "where persona_id = ? order by id desc limit 1", persona_id), None)


def of(db: Database, persona_id: str) -> list[Consent]:
    """Every consent to a persona, oldest first."""
    return list(_read(db, "where persona_id = ? order by id", persona_id))


def all(db: Database) -> list[Consent]:
    """Every consent, oldest first."""
    return list(_read(db, "order by id"))


def withdraw(db: Database, persona_id: str) -> int:
    """Take back every consent to a persona; returns how many were given."""
    with db.atomic():
        return db.execute(
            "update consents set withdrawn_at = ? where persona_id = ? and withdrawn_at is null",
            [utc_now(), persona_id],
        ).rowcount


def refuse_beyond(db: Database, persona_id: str, use: Use) -> None:
    """Raises NoConsent where the newest consent to a persona, or to somebody in a blend, does not cover this use."""
    people = db.execute(
        "select id, handle from personas where id = ? union select part_id, handle from blend_parts "
        "join personas on personas.id = part_id where persona_id = ? union select heard.id, heard.handle "
        "from personas as spoken join clone_people on clone_id = spoken.current_clone_id "
        "join personas as heard on heard.handle = clone_people.handle where spoken.id = ?",
        [persona_id, persona_id, persona_id],
    ).fetchall()
    for id, handle in people:
        consent = newest(db, id)
        if consent is not None and consent.withdrawn_at is not None:
            raise NoConsent(
                f"@{handle} withdrew their consent on {consent.withdrawn_at:%Y-%m-%d}.",
                "Only they can give it again, by handing over their posts.",
            )
        if consent is not None and use not in consent.scope:
            raise NoConsent(
                f"The consent to @{handle} does not cover this ({use}).",
                f"It covers: {', '.join(consent.scope)}. See /consents.",
            )


def personas_of(db: Database, subject: str) -> list[str]:
    """Ids of the personas that are this person's voice: by a consent, or a file that they handed over for a clone."""
    rows = db.execute(
        "select persona_id from consents where subject = ? union select persona_id from clones "
        "where source_path is not null and (requested_by = ? or requested_by like ?)",
        [subject, subject, f"{subject}@%"],
    )
    return [row[0] for row in rows.fetchall()]


def ask(db: Database, member_id: str, asked_by: str, channel_id: str, recipe: str | None = None) -> Request:
    """Begin to ask a member; one request a channel, so the one that waits there already is given back."""
    with db.atomic():
        waiting = next(
            _requests(db, "where member_id = ? and channel_id = ? and agreed_at is null", member_id, channel_id), None
        )
        if waiting is not None:
            return waiting
        id = new_id()
        db.execute(
            "insert into consent_requests (id, member_id, asked_by, channel_id, recipe, created_at) "
            "values (?, ?, ?, ?, ?, ?)",
            [id, member_id, asked_by, channel_id, recipe, utc_now()],
        )
        return request(db, id)


def request(db: Database, id: str) -> Request:
    """Raises StorageError where there is none, such as after a refusal."""
    found = next(_requests(db, "where id = ?", id), None)
    if found is None:
        raise StorageError("That question is answered or was taken back.", "Ask once more with /clone.")
    return found


def asked_at(db: Database, id: str, message_id: str) -> None:
    """The message with the buttons."""
    with db.atomic():
        db.execute("update consent_requests set message_id = ? where id = ?", [message_id, id])


def agree(db: Database, id: str) -> Request:
    """The member agreed; saying so twice keeps the first time. Raises StorageError as `request`."""
    with db.atomic():
        db.execute("update consent_requests set agreed_at = ? where id = ? and agreed_at is null", [utc_now(), id])
        return request(db, id)


def take_agreement(db: Database, member_id: str) -> datetime | None:
    """When a member agreed to be cloned; the request is served with that."""
    with db.atomic():
        agreed = next(_requests(db, "where member_id = ? and agreed_at is not null order by id desc", member_id), None)
        if agreed is not None:
            db.execute("delete from consent_requests where member_id = ? and agreed_at is not null", [member_id])
    return agreed.agreed_at if agreed else None


def member_in(requested_by: str) -> str | None:
    """The member of Discord who asked: `discord:123`, or `discord:123@456` on a server. None for anybody else."""
    platform, _, rest = requested_by.partition(":")
    return rest.partition("@")[0] if platform == "discord" else None


def close(db: Database, id: str) -> None:
    """The request is served or refused."""
    with db.atomic():
        db.execute("delete from consent_requests where id = ?", [id])


def forget_member(db: Database, member_id: str) -> int:
    """Delete what is asked of a member, and what they asked of others; returns how many requests."""
    with db.atomic():
        return db.execute(
            "delete from consent_requests where member_id = ? or asked_by = ? or asked_by like ?",
            [member_id, f"discord:{member_id}", f"discord:{member_id}@%"],
        ).rowcount


def _read(db: Database, rest: str, *values: str) -> Iterator[Consent]:
    for row in db.query(f"select * from consents {rest}", values):
        withdrawn = row["withdrawn_at"]
        yield Consent(
            **row
            | {
                "scope": tuple(row["scope"].split()),
                "at": utc_time(row["at"]),
                "withdrawn_at": None if withdrawn is None else utc_time(withdrawn),
            }
        )


def _requests(db: Database, where: str, *values: str) -> Iterator[Request]:
    for row in db.query(f"select * from consent_requests {where}", values):
        agreed = row["agreed_at"]
        times = {"created_at": utc_time(row["created_at"]), "agreed_at": None if agreed is None else utc_time(agreed)}
        yield Request(**row | times)
