"""A clone's posts come in from X, page by page. A page's posts, how far that is, and its price are one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlite_utils import Database

from bot.cloning import ComeBack
from bot.errors import CommandError
from bot.notices import Notices
from bot.people import grounds
from bot.settings import Settings
from bot.sources.x_api import SOURCE, Account, Checkpoint, Page, collect
from bot.x import access
from bot.x.budget import Budget, Reservation
from bot.x.errors import OutOfCredits, RateLimited, Refused, XError
from bot.x.patience import Patience
from bot.x.terms import TERMS
from storage import consents, personas, posts, x_collections, x_ledger
from storage.clones import Clone
from storage.database import Store
from storage.x_collections import Collection

Tell = Callable[[str], Awaitable[None]]

_LONGEST_WAIT_S = 20.0
"""For longer ones, other clones go on meanwhile."""
_WINDOW = timedelta(minutes=15)
"""In which X's limits start over, where it does not say when."""
_LONGEST_ABSENCE = timedelta(hours=25)
"""X's longest limit starts over after a day."""
_TOLD_EVERY_PAGES = 10
_HALTING = (401, 403)


class Collecting:
    def __init__(self, settings: Settings, store: Store, budget: Budget, notices: Notices) -> None:
        self._settings = settings
        self._store = store
        self._budget = budget
        self._notices = notices

    async def collect(self, clone: Clone, tell: Tell) -> posts.Added | None:
        """Read what is left to be read for a clone; what came in altogether, or None where it wants nothing from X.

        May be cancelled at any moment, and goes on from there. Raises CommandError, OverBudget, XError; what was
        collected stays, and another /clone goes on after it. Raises ComeBack where X wants to be left alone.
        """
        collection = await self._store.run(_of_clone, clone)
        if collection is None or collection.ended_at is not None:
            return None if collection is None else collection.added
        if not self._settings.x.train_on_api_content:
            raise CommandError(TERMS, "x.train_on_api_content was switched off meanwhile: nothing more is read.")
        try:
            return await self._read(clone, collection, tell)
        except RateLimited as error:
            now = datetime.now(UTC)
            until = error.until + timedelta(seconds=1) if error.until and error.until > now else now + _WINDOW
            if until - now > _LONGEST_ABSENCE:
                raise
            raise ComeBack(until, error.message) from error
        except OutOfCredits as error:
            await self._notices.tell("credits", error.message, error.hint)
            raise
        except Refused as error:
            if error.status in _HALTING:
                await self._notices.tell("halt", f"Collecting from X stopped: {error.message}", error.hint)
            raise

    async def _read(self, clone: Clone, collection: Collection, tell: Tell) -> posts.Added:
        account = Account(collection.account_id, collection.handle, collection.display_name, None, False)
        begin = Checkpoint(
            since_id=collection.since_id,
            newest_id=collection.newest_id,
            oldest_id=collection.oldest_id,
            next_token=collection.next_token,
            read=collection.read,
            is_complete=collection.is_complete,
        )
        if begin.read and collection.pages:
            await tell(f"{begin.read:,} posts are here already; X is read on from there.")
        async with await access.reader(self._settings, self._budget, "collecting") as client:
            pages = collect(client, account, begin, depth=collection.depth, patience=_waiting(tell))
            async for page in pages:
                collection = await self._store.run(_keep, clone, collection, page, client.unsettled)
                client.unsettled = None
                if collection.pages % _TOLD_EVERY_PAGES == 0:
                    await tell(f"{collection.read:,} posts have come in from X.")
        await self._store.run(x_collections.end, clone.id)
        return collection.added


def _waiting(tell: Tell) -> Patience:
    """Waits for what is soon over, and says so."""
    waits: list[tuple[datetime, XError]] = []

    async def sleep(seconds: float) -> None:
        if waits and seconds >= 1:
            until, reason = waits[-1]
            await tell(f"{reason.message} It goes on by itself at {until:%H:%M:%S} UTC.")
        await asyncio.sleep(seconds)

    return Patience(
        longest_wait_s=_LONGEST_WAIT_S, sleep=sleep, on_wait=lambda until, reason: waits.append((until, reason))
    )


def _of_clone(db: Database, clone: Clone) -> Collection | None:
    collection = x_collections.of_clone(db, clone.id)
    if collection is not None:
        grounds.refuse_opted_out(db, personas.get(db, clone.persona_id).handle)
    return collection


def _keep(db: Database, clone: Clone, collection: Collection, page: Page, reserved: Reservation | None) -> Collection:
    """A page with all that has to be known of it, or nothing."""
    at = page.checkpoint
    with db.atomic():
        persona = personas.get(db, clone.persona_id)
        if collection.pages == 0:
            personas.ensure(db, persona.handle, display_name=collection.display_name, source=SOURCE)
            scope = grounds.scope_of(collection.ground)
            consents.record(
                db, persona.id, collection.ground, persona.handle, clone.requested_by, SOURCE, scope, clone.id
            )
        added = posts.add(db, persona.id, page.posts)
        if reserved is not None:
            x_ledger.settle(db, reserved.id, at.read - collection.read, datetime.now(UTC))
        kept = replace(
            collection.plus(added),
            newest_id=at.newest_id,
            oldest_id=at.oldest_id,
            next_token=at.next_token,
            read=at.read,
            is_complete=at.is_complete,
        )
        x_collections.save(db, clone.id, kept)
    return kept
