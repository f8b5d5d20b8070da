"""An account on the local X, an outbox, and the lane between them; time passes only where the lane waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from bot.notices import Notices
from bot.posting.lane import Lane, Rules
from bot.posting.money import Budget, Reservation
from bot.posting.x_sender import XSender
from bot.x.client import XClient
from storage import outbox, personas, sending
from storage.database import Store, Writer
from storage.outbox import Decided, OutboxPost
from storage.x_ledger import Kind
from tests.servers.x import LocalX
from tests.servers.x_clock import Clock
from tests.servers.x_keys import secret
from tests.servers.x_world import Account


class Free:
    """For where nothing costs anything."""

    async def reserve(self, kind: Kind, units: int = 1) -> Reservation:
        return self

    async def settle(self, units: int | None = None) -> None: ...

    async def release(self) -> None: ...


@dataclass
class Desk:
    x: LocalX
    account: Account
    clock: Clock
    store: Store
    sender: XSender
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        self.notices = Notices(self.store)
        self.lane = Lane("x", self.sender, self.store, self.notices, self.clock, lambda: self.rules)

    async def decide(self, text: str, due_at: datetime | None = None, *, key: str = "") -> str:
        """Write a post of @ada's down; its id."""
        persona = await self.store.run(personas.ensure, "ada")
        decided = Decided(persona.id, None, None, "x", text, due_at or self.clock.time, key or text)
        id = await self.store.run(outbox.decide, decided, self.clock.time)
        assert id is not None
        return id

    async def get(self, id: str) -> OutboxPost:
        return await self.store.run(outbox.get, id)

    async def work(self, length: timedelta = timedelta(minutes=30)) -> None:
        """Let the lane work for so long."""
        until = self.clock.time + length
        while True:
            if await self.lane.step():
                continue
            moment = await self.store.run(sending.next_moment, "x", self.clock.time)
            if moment is None or moment > until:
                break
            self.clock.time = moment
        self.clock.time = until

    @property
    def published(self) -> list[str]:
        """The texts that were posted through the API, also those that were deleted since."""
        return self.x.posted_by(self.account)


@asynccontextmanager
async def desk_on(
    x: LocalX, clock: Clock, path: Path, budget: Budget | None = None, *, timeout_s: float = 5
) -> AsyncIterator[Desk]:
    account = next(iter(x.world.accounts.values()), None) or x.world.add_account("bot")
    store = Writer(path)
    await store.start()
    async with XClient(x.url, user=secret(x.keys_for(account)), timeout_s=timeout_s) as client:
        yield Desk(x, account, clock, store, XSender(client, account.id, budget or Free()))
    await store.close()
