"""Drafts: posts of the outbox that a person looks at first, and which personas' posts those are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlite_utils import Database

from storage import outbox
from storage.errors import StorageError
from storage.ids import utc_text
from storage.outbox import OutboxPost

Mode = Literal["auto", "review", "review-first-n"]


@dataclass(frozen=True, slots=True)
class Approval:
    """Who looks at a persona's posts before they leave."""

    mode: Mode
    first: int = 0
    """With `review-first-n`: how many posts a person has to approve before others leave by themselves."""
    expires_after_h: float = 72.0


def approval(db: Database, persona_id: str) -> Approval | None:
    """What was set for a persona."""
    row = db.execute("select mode, first, expires_after_h from approvals where persona_id = ?", [persona_id]).fetchone()
    return None if row is None else Approval(*row)


def set_approval(db: Database, persona_id: str, approval: Approval, now: datetime) -> None:
    """From now on; drafts that wait already go on waiting."""
    with db.atomic():
        db.execute(
            "insert or replace into approvals (persona_id, mode, first, expires_after_h, at) values (?, ?, ?, ?, ?)",
            [persona_id, approval.mode, approval.first, approval.expires_after_h, utc_text(now)],
        )


def first_state(db: Database, persona_id: str, approval: Approval) -> Literal["draft", "due"]:
    """What a persona's next post begins as."""
    if approval.mode == "review-first-n":
        return "draft" if approved(db, persona_id) < approval.first else "due"
    return "draft" if approval.mode == "review" else "due"


def approved(db: Database, persona_id: str) -> int:
    """How many drafts of a persona a person approved."""
    row = db.execute(
        "select count(*) from outbox where persona_id = ? and decided_by is not null and id in"
        " (select post_id from outbox_history where from_state = 'draft' and to_state = 'due')",
        [persona_id],
    ).fetchone()
    return int(row[0])


def waiting(db: Database, persona_id: str | None = None) -> list[OutboxPost]:
    """The drafts that nobody decided on, longest due first."""
    if persona_id is None:
        return outbox.read(db, "where state = 'draft' order by due_at, id")
    return outbox.read(db, "where state = 'draft' and persona_id = ? order by due_at, id", persona_id)


def rewrite(db: Database, id: str, text: str, clone_id: str | None, now: datetime) -> OutboxPost:
    """Another text for a draft, which stays one. Raises StorageError where it is a draft no longer."""
    with db.atomic():
        if (post := outbox.get(db, id)).state != "draft":
            raise StorageError(f"The post {id} is {post.state}; only a draft can be changed.", "See /drafts.")
        db.execute("update outbox set text = ?, clone_id = coalesce(?, clone_id) where id = ?", [text, clone_id, id])
        db.execute(
            "insert into outbox_history (post_id, at, from_state, to_state, detail) values (?, ?, 'draft', 'draft', ?)",
            [id, utc_text(now), "written anew"],
        )
        return outbox.get(db, id)


@dataclass(frozen=True, slots=True)
class DraftMessage:
    """Where a draft is shown on Discord."""

    post_id: str
    channel_id: str
    message_id: str


def unshown(db: Database) -> list[OutboxPost]:
    """Drafts that no message shows, longest due first."""
    return outbox.read(
        db, "where state = 'draft' and id not in (select post_id from draft_messages) order by due_at, id"
    )


def record_message(db: Database, message: DraftMessage) -> None:
    """A draft is shown there."""
    with db.atomic():
        db.execute(
            "insert or replace into draft_messages (post_id, channel_id, message_id) values (?, ?, ?)",
            [message.post_id, message.channel_id, message.message_id],
        )


def message_of(db: Database, id: str) -> DraftMessage | None:
    """Where a draft is shown."""
    row = db.execute("select post_id, channel_id, message_id from draft_messages where post_id = ?", [id]).fetchone()
    return None if row is None else DraftMessage(*row)


def decided_messages(db: Database) -> list[tuple[DraftMessage, OutboxPost]]:
    """Messages of posts that are drafts no longer."""
    rows = db.execute(
        "select post_id, channel_id, message_id from draft_messages join outbox on outbox.id = post_id"
        " where state <> 'draft'"
    ).fetchall()
    return [(DraftMessage(*row), outbox.get(db, row[0])) for row in rows]


def forget_message(db: Database, id: str) -> None:
    """A draft's message has nothing more to say, or is gone."""
    with db.atomic():
        db.execute("delete from draft_messages where post_id = ?", [id])
