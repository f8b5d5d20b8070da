"""Posts on their way to a platform: each is decided once, and every move of it is kept.

A row is written in the transaction that decides on it, under a key that no other row can have. What becomes of it
while it is sent is `storage.sending`'s.

    draft ──► due ──► claimed ──► sent
      │        │▲        │  └───► uncertain ──► asked      it may have been published: nobody knows yet
      ▼        ▼└────────┘                        │        only a person can say
    rejected  skipped   failed ◄── refused        └──► sent, due or skipped, as the person says

Rows hold what was written for a persona, and go with the persona.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlite_utils import Database

from storage.errors import Gone, StorageError
from storage.ids import new_id, utc_text, utc_time

State = Literal["draft", "due", "claimed", "uncertain", "asked", "sent", "skipped", "rejected", "failed"]

MOVES: dict[State, tuple[State, ...]] = {
    "draft": ("due", "rejected", "skipped"),
    "due": ("claimed", "skipped"),
    "claimed": ("sent", "due", "uncertain", "failed"),
    "uncertain": ("sent", "asked", "failed"),
    "asked": ("sent", "due", "skipped", "uncertain"),
    "sent": (),
    "skipped": (),
    "rejected": (),
    "failed": (),
}
OPEN: tuple[State, ...] = ("draft", "due", "claimed", "uncertain", "asked")

_TIMES = (
    "state_since", "due_at", "created_at", "ready_at", "expires_at", "retry_at", "claimed_at", "look_at", "sent_at",
)  # fmt: skip
_FLAGS = ("maybe_sent", "is_duplicate")


@dataclass(frozen=True, slots=True)
class Decided:
    """A post that somebody, or a schedule, decided on."""

    persona_id: str
    clone_id: str | None
    """The version that wrote it."""
    schedule_id: str | None
    target: str
    """Where to: `x`, `discord:CHANNEL`, `webhook:ID` or `dry`."""
    text: str
    due_at: datetime
    key: str
    """What makes it this post and no other, such as `SCHEDULE@DUE`."""
    state: Literal["draft", "due"] = "due"
    prompt: str = ""
    expires_at: datetime | None = None
    """When a draft that nobody decided on is given up."""
    reply_to: str | None = None
    """The platform's id of the post that it answers."""


@dataclass(frozen=True, slots=True)
class OutboxPost:
    """A row, as it is now."""

    id: str
    persona_id: str
    clone_id: str | None
    schedule_id: str | None
    target: str
    text: str
    prompt: str
    key: str
    state: State
    state_since: datetime
    reason: str
    """Why it is in this state, or why it was not sent the last time."""
    due_at: datetime
    created_at: datetime
    ready_at: datetime
    """Since when it may be sent, once it is due."""
    expires_at: datetime | None
    decided_by: str | None
    """Who approved, rejected or answered for it."""
    attempts: int
    retry_at: datetime | None
    claimed_at: datetime | None
    since_id: str | None
    """The newest post of the account that was known before this one was first sent."""
    maybe_sent: bool
    """Some attempt may have published it."""
    is_duplicate: bool
    """The platform said that it has this text already."""
    looks: int
    look_at: datetime | None
    platform_id: str | None
    sent_at: datetime | None
    reply_to: str | None = None
    """The platform's id of the post that it answers."""

    @property
    def short_id(self) -> str:
        """Its end, which people see and give back."""
        return self.id[-8:]


@dataclass(frozen=True, slots=True)
class Move:
    """A line of a post's history."""

    at: datetime
    from_state: State | None
    to_state: State
    detail: str


def decide(db: Database, post: Decided, now: datetime | None = None) -> str | None:
    """Write a post down; its id, or None where its key is known, and then nothing is changed."""
    now = now or datetime.now(UTC)
    with db.atomic():
        if db.execute("select 1 from outbox where key = ?", [post.key]).fetchone():
            return None
        id = new_id()
        db.execute(
            """
            insert into outbox (id, persona_id, clone_id, schedule_id, target, text, prompt, key, state, state_since,
                due_at, created_at, ready_at, expires_at, reply_to)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                id, post.persona_id, post.clone_id, post.schedule_id, post.target, post.text, post.prompt, post.key,
                post.state, utc_text(now), utc_text(post.due_at), utc_text(now), utc_text(now),
                None if post.expires_at is None else utc_text(post.expires_at), post.reply_to,
            ],
        )  # fmt: skip
        _remember(db, id, None, post.state, "decided", now)
        return id


def get(db: Database, id: str) -> OutboxPost:
    """Raises Gone where there is no such post."""
    found = read(db, "where id = ?", id)
    if not found:
        raise Gone(f"There is no post {id} in the outbox.", "See /outbox for those that are.")
    return found[0]


def listed(db: Database, states: tuple[State, ...] = OPEN, limit: int = 100) -> list[OutboxPost]:
    """The newest of those in some states, in the order in which they are or were due."""
    marks = ", ".join("?" * len(states))
    found = read(db, f"where state in ({marks}) order by due_at desc, id desc limit {int(limit)}", *states)
    return found[::-1]


def counts(db: Database) -> dict[State, int]:
    """How many there are, by state."""
    return dict(db.execute("select state, count(*) from outbox group by state order by state").fetchall())


def sent_since(db: Database, since: datetime) -> dict[str, int]:
    """How many were published since then, by target."""
    rows = db.execute(
        "select target, count(*) from outbox where state = 'sent' and sent_at > ? group by target order by target",
        [utc_text(since)],
    )
    return dict(rows.fetchall())


def move(
    db: Database, id: str, to: State, detail: str, now: datetime, *, by: str | None = None, text: str | None = None
) -> OutboxPost:
    """Bring a post into another state; with `text`, a draft's is replaced.

    Raises StorageError where there is no such post, or it cannot go there from where it is.
    """
    with db.atomic():
        post = get(db, id)
        if to not in MOVES[post.state]:
            raise StorageError(f"The post {id} is {post.state}, and cannot become {to}.", "See /outbox.")
        if text is not None and post.state != "draft":
            raise StorageError(f"The post {id} is {post.state}; only a draft can be changed.", "See /drafts.")
        db.execute(
            "update outbox set state = ?, state_since = ?, reason = ?, text = coalesce(?, text),"
            " ready_at = iif(?, ?, ready_at), decided_by = coalesce(?, decided_by) where id = ?",
            [to, utc_text(now), detail, text, to == "due" and post.state != "claimed", utc_text(now), by, id],
        )
        _remember(db, id, post.state, to, detail, now)
        return get(db, id)


def history(db: Database, id: str) -> list[Move]:
    """Every move of a post, oldest first."""
    rows = db.query("select at, from_state, to_state, detail from outbox_history where post_id = ? order by id", [id])
    return [Move(**row | {"at": utc_time(row["at"])}) for row in rows]


def read(db: Database, rest: str, *values: str) -> list[OutboxPost]:
    """Rows by the rest of an SQL query."""
    return [_post(row) for row in db.query(f"select * from outbox {rest}", values)]


def _post(row: dict[str, object]) -> OutboxPost:
    times = {name: utc_time(str(row[name])) if row[name] is not None else None for name in _TIMES}
    return OutboxPost(**row | times | {name: bool(row[name]) for name in _FLAGS})  # type: ignore[arg-type]


def _remember(db: Database, id: str, from_state: State | None, to_state: State, detail: str, now: datetime) -> None:
    db.execute(
        "insert into outbox_history (post_id, at, from_state, to_state, detail) values (?, ?, ?, ?, ?)",
        [id, utc_text(now), from_state, to_state, detail],
    )
