"""What a person may ask of the outbox, and answer about a post whose fate nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlite_utils import Database

from bot.errors import CommandError, NotFound, only_the_running
from bot.posting.posting import Posting
from storage import outbox, personas, sending
from storage.database import Reader, Store
from storage.outbox import Move, OutboxPost, State

Answer = Literal["sent", "resend", "drop", "look"]

_WAITING: tuple[State, ...] = ("due", "claimed", "uncertain", "asked")
_LEAST_ID = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A post in the outbox, and whose voice it is in."""

    post: OutboxPost
    handle: str

    @property
    def where(self) -> str:
        """Where it goes, and what it answers."""
        if self.post.reply_to is None:
            return self.post.target
        return f"{self.post.target}, in answer to https://x.com/i/status/{self.post.reply_to}"


class Outbox:
    """`zone` is the one in which times are shown."""

    def __init__(self, store: Store, posting: Posting, zone: ZoneInfo) -> None:
        self._store = store
        self._posting = posting
        self.zone = zone

    async def posts(self, states: tuple[State, ...] = _WAITING, limit: int = 50) -> list[Entry]:
        """Those in some states, longest due first."""
        return await self._store.run(_entries, states, limit)

    async def show(self, id: str) -> tuple[Entry, list[Move]]:
        """A post by its id, or by its end, with all that became of it.

        Raises:
            NotFound.
        """
        return await self._store.run(_history, id)

    async def answer(self, id: str, answer: Answer, by: str) -> Entry:
        """Say what became of a post that was asked about, or drop one that is due.

        `sent`: it is there; `resend`: it is not, and should be; `drop`: it should not be; `look`: look again first.

        Raises:
            CommandError: where the post is in no state to be answered for. NotFound.
        """
        if isinstance(self._store, Reader):
            raise only_the_running(f"/outbox {answer} {id}")
        entry = await self._store.run(_answer, id, answer, by, self._posting.now())
        self._posting.wake()
        return entry


def find(db: Database, id: str) -> OutboxPost:
    """A post by its id or the last signs of it. Raises NotFound."""
    wanted = id.strip().upper()
    found = []
    if len(wanted) >= _LEAST_ID and wanted.isalnum():
        found = outbox.read(db, "where id like '%' || ? limit 2", wanted)
    if len(found) != 1:
        raise NotFound(
            f"{id[:40]!r} is {'the end of more than one id' if found else 'no post'} in the outbox.", "See /outbox."
        )
    return found[0]


def _entries(db: Database, states: tuple[State, ...], limit: int) -> list[Entry]:
    handles = {persona.id: persona.handle for persona in personas.all(db)}
    return [Entry(post, handles[post.persona_id]) for post in outbox.listed(db, states, limit)]


def _entry(db: Database, post: OutboxPost) -> Entry:
    return Entry(post, personas.get(db, post.persona_id).handle)


def _history(db: Database, id: str) -> tuple[Entry, list[Move]]:
    post = find(db, id)
    return _entry(db, post), outbox.history(db, post.id)


def _answer(db: Database, id: str, answer: Answer, by: str, now: datetime) -> Entry:
    with db.atomic():
        post = find(db, id)
        if post.state != "asked" and not (answer == "drop" and post.state == "due"):
            raise CommandError(
                f"The post is {post.state}: there is nothing to answer.", "Only posts that are asked about need one."
            )
        match answer:
            case "sent":
                post = outbox.move(db, post.id, "sent", "a person found it on the account", now, by=by)
            case "resend":
                post = outbox.move(db, post.id, "due", "a person has it sent again", now, by=by)
            case "drop":
                post = outbox.move(db, post.id, "skipped", "a person dropped it", now, by=by)
            case "look":
                post = sending.unclear(db, post.id, "a person has it looked for again", now + timedelta(seconds=1), now)
        return _entry(db, post)
