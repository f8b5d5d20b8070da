"""Answers to who mentions an account: one a thread and person, decided in the transaction that passes a mention over.

A mention itself is kept nowhere; `own_timelines` holds the newest that was looked at.
"""

from __future__ import annotations

from datetime import datetime

from sqlite_utils import Database

from storage import outbox, sending
from storage.outbox import Decided


def key(thread_id: str, author_id: str) -> str:
    """By which the outbox takes one answer to a person in a thread, and no second."""
    return f"reply:{thread_id}:{author_id}"


def newest(db: Database, target: str) -> str | None:
    """The newest mention that was looked at, `0` where there was none; None where nobody looked yet."""
    return sending.newest_known(db, _mentions(target))


def pass_over(db: Database, target: str, mention_id: str, answer: Decided | None, now: datetime) -> str | None:
    """A mention was looked at; the id of the answer that was decided on, or None."""
    with db.atomic():
        id = None if answer is None else outbox.decide(db, answer, now)
        sending.know_newest(db, _mentions(target), mention_id, now)
        return id


def is_answered(db: Database, key: str) -> bool:
    return db.execute("select 1 from outbox where key = ?", [key]).fetchone() is not None


def speaker(db: Database, target: str, parent_id: str | None) -> str | None:
    """The id of the persona whose post is answered; where it is none of theirs, of the one who was published last."""
    row = db.execute(
        "select persona_id from outbox where target = ? and state = 'sent'"
        " order by coalesce(platform_id = ?, 0) desc, sent_at desc limit 1",
        [target, parent_id],
    ).fetchone()
    return None if row is None else str(row[0])


def _mentions(target: str) -> str:
    return f"mentions of {target}"
