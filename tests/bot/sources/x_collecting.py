"""A reader of the local X whose time passes only where it waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import SecretStr

from bot.sources.x_api import Account, Checkpoint, Page, collect
from bot.x.client import XClient
from bot.x.patience import Patience
from tests.servers.x import LocalX
from tests.servers.x_clock import START
from tests.servers.x_clock import Clock as StandingClock
from tests.servers.x_world import Account as XAccount

READ = Decimal("0.005")


@dataclass
class Clock(StandingClock):
    """It keeps what was waited for."""

    waits: list[tuple[datetime, str]] = field(default_factory=list)

    @property
    def patience(self) -> Patience:
        return Patience(
            sleep=self.sleep,
            now=self,
            on_wait=lambda until, reason: self.waits.append((until, type(reason).__name__)),
        )


@asynccontextmanager
async def reader(x: LocalX, *, timeout_s: float = 30) -> AsyncIterator[XClient]:
    async with XClient(x.url, bearer=SecretStr(x.door.app_token), timeout_s=timeout_s) as client:
        yield client


async def pages_of(
    x: LocalX,
    clock: Clock,
    at: Checkpoint | None = None,
    *,
    depth: int = 3_200,
    with_reposts: bool = False,
    stop_after: int | None = None,
) -> list[Page]:
    """The pages of the first account, or the first so many of them."""
    first = next(iter(x.world.accounts.values()))
    account = Account(first.id, first.handle, first.name, None, False)
    pages: list[Page] = []
    async with reader(x) as client:
        kept = collect(client, account, at, depth=depth, with_reposts=with_reposts, patience=clock.patience)
        async for page in kept:
            pages.append(page)
            if len(pages) == stop_after:
                break
    return pages


def texts(pages: list[Page]) -> list[str]:
    return [post.text for page in pages for post in page.posts]


def publish(x: LocalX, author: XAccount, count: int) -> None:
    """Posts of which number 0 is the newest."""
    for n in range(count):
        x.world.publish(author, f"post {n}", START - timedelta(hours=n + 1))
