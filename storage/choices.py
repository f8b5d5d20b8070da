"""What people chose among drafts, as figures without text, and the reranker that was learned from it.

Choices go with the persona whose drafts they were.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from storage.ids import utc_text


@dataclass(frozen=True, slots=True)
class Choice:
    chosen: bool
    features: tuple[float, ...]


def add(
    db: Database, persona_id: str, by: str, chosen: bool, features: Sequence[float], reason: str, now: datetime
) -> None:
    """Keep that a draft with these figures was chosen, or was not."""
    with db.atomic():
        db.execute(
            "insert into choices (persona_id, at, by, chosen, reason, features_json) values (?, ?, ?, ?, ?, ?)",
            [persona_id, utc_text(now), by, int(chosen), reason, json.dumps(list(features))],
        )


def all(db: Database) -> list[Choice]:
    """Oldest first."""
    rows = db.execute("select chosen, features_json from choices order by id").fetchall()
    return [Choice(bool(chosen), tuple(json.loads(features))) for chosen, features in rows]


def counts(db: Database) -> tuple[int, int]:
    """How many choices there are, and how many of them were approvals."""
    made, approved = db.execute("select count(*), coalesce(sum(chosen), 0) from choices").fetchone()
    return made, approved


def record_reranker(db: Database, report_json: str, now: datetime) -> None:
    """Keep the newest reranker instead of the one before."""
    with db.atomic():
        db.execute(
            "insert or replace into rerankers (id, at, report_json) values (1, ?, ?)", [utc_text(now), report_json]
        )


def reranker(db: Database) -> str | None:
    """The newest, as JSON."""
    row = db.execute("select report_json from rerankers").fetchone()
    return None if row is None else str(row[0])


def count_refusal(db: Database, persona_id: str, reason: str, times: int, now: datetime) -> None:
    """The guard refused texts of a persona; their words are not kept."""
    with db.atomic():
        db.execute(
            "insert into refusals (persona_id, reason, times, last_at) values (?, ?, ?, ?)"
            " on conflict (persona_id, reason)"
            " do update set times = times + excluded.times, last_at = excluded.last_at",
            [persona_id, reason, times, utc_text(now)],
        )


def refusals(db: Database, persona_id: str) -> dict[str, int]:
    """Why texts of a persona were refused, and how many."""
    return dict(db.execute("select reason, times from refusals where persona_id = ?", [persona_id]).fetchall())
