"""What stops and resumes the bot's work, and what it has done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlite_utils import Database

from bot.notices import Notices
from bot.posting.posting import Posting
from storage import clones, notices, outbox, personas, switches
from storage.database import Store
from storage.notices import Notice
from storage.outbox import State
from storage.switches import Switch

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stats:
    """Where the bot stands."""

    personas: int
    clones: int
    in_line: int
    """Clones that wait or learn."""
    posts: dict[State, int]
    """In the outbox, by state."""
    sent_today: dict[str, int]
    """Published within 24 hours, by target."""
    stops: tuple[Switch, ...]
    notices: tuple[Notice, ...]
    """What the owner was told and has not seen."""


class Admin:
    def __init__(self, store: Store, posting: Posting, notices: Notices) -> None:
        self._store = store
        self._posting = posting
        self._notices = notices

    async def pause(self, by: str, reason: str = "") -> bool:
        """Stop all posting, now and after a restart; False where it was stopped already."""
        return await self._posting.pause(by, reason or "/admin pause")

    async def resume(self) -> list[Switch]:
        """Go on posting; what had stopped it."""
        return await self._posting.resume()

    async def stats(self) -> Stats:
        return await self._store.run(_stats, self._posting.now())

    async def notices(self) -> list[Notice]:
        """What the owner was told since the last time that this was asked for."""
        unseen = await self._notices.unseen()
        if unseen:
            await self._notices.mark_seen()
        return unseen


def _stats(db: Database, now: datetime) -> Stats:
    stops = [switch for switch in switches.all(db) if switch.name == switches.PAUSE or switch.name.startswith("halt:")]
    return Stats(
        personas=len(personas.known(db)),
        clones=len(clones.overview(db)),
        in_line=len(clones.active(db)),
        posts=outbox.counts(db),
        sent_today=outbox.sent_since(db, now - DAY),
        stops=tuple(stops),
        notices=tuple(notices.unseen(db)),
    )
