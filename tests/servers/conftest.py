"""A local Discord with a guild, a channel and a member in it; a local X with an account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pytest

from tests.servers.discord.people import Person
from tests.servers.discord.server import LocalDiscord
from tests.servers.discord.things import Channel, Guild
from tests.servers.x import LocalX
from tests.servers.x_world import Account

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    server: LocalDiscord
    guild: Guild
    channel: Channel
    ann: Person

    async def wait_for(self, look: Callable[[], T], what: str) -> T:
        """Without holding up the client's loop."""
        return await asyncio.to_thread(self.server.wait_for, look, what, 20.0)


@pytest.fixture
def place() -> Iterator[Place]:
    """Fails if the server itself answered otherwise than Discord's description allows."""
    with LocalDiscord() as server:
        guild = server.guild("Parrots")
        yield Place(server, guild, server.channel(guild, "general"), server.person("ann", guild))
        assert server.wrong_replies == []


@pytest.fixture
def ada(x: LocalX) -> Account:
    return x.world.add_account("ada", "Ada L.")
