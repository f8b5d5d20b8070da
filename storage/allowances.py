"""What the posts of single personas may hold, where that differs from what the settings say of all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from storage.ids import utc_text


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether posts may name accounts, have hashtags, and hold links."""

    mentions: bool = False
    hashtags: bool = False
    links: bool = False


def get(db: Database, persona_id: str) -> Allowance | None:
    """What was said of a persona; None where nothing was."""
    row = db.execute("select mentions, hashtags, links from allowances where persona_id = ?", [persona_id]).fetchone()
    return None if row is None else Allowance(*map(bool, row))


def set(db: Database, persona_id: str, allowance: Allowance, now: datetime) -> None:
    """From now on, also for drafts that are edited later."""
    with db.atomic():
        db.execute(
            "insert or replace into allowances (persona_id, mentions, hashtags, links, at) values (?, ?, ?, ?, ?)",
            [persona_id, allowance.mentions, allowance.hashtags, allowance.links, utc_text(now)],
        )


def clear(db: Database, persona_id: str) -> None:
    """The settings hold for the persona again."""
    with db.atomic():
        db.execute("delete from allowances where persona_id = ?", [persona_id])
