"""What the owner has to be told: kept in the database, logged, and shown by whichever gateway is listening.

A notice names posts by their ids: it holds no text, no handle and no token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from storage import notices
from storage.database import Store
from storage.notices import Notice

log = logging.getLogger(__name__)


class Notices:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: set[asyncio.Queue[Notice]] = set()

    async def tell(self, kind: str, message: str, hint: str = "", now: datetime | None = None) -> Notice:
        """Keep a notice, and hand it to whoever listens. `kind` is a word for code, such as `halt`."""
        notice = await self._store.run(notices.add, kind, message, hint, now or datetime.now(UTC))
        log.warning("%s %s", message, hint)
        for listener in self._listeners:
            listener.put_nowait(notice)
        return notice

    async def unseen(self) -> list[Notice]:
        """What nobody has seen yet, oldest first."""
        return await self._store.run(notices.unseen)

    async def mark_seen(self, id: int | None = None) -> None:
        """One, or all of them."""
        await self._store.run(notices.mark_seen, datetime.now(UTC), id)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[asyncio.Queue[Notice]]:
        """Every notice from now on."""
        heard: asyncio.Queue[Notice] = asyncio.Queue()
        self._listeners.add(heard)
        try:
            yield heard
        finally:
            self._listeners.discard(heard)
