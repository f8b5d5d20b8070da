"""A small bot with everything of a clone's life on Discord, on the local server, with a persona that speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import pytest
import pytest_asyncio
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot import config
from bot.app import App
from bot.app import running as app_running
from bot.gateways.discord.bot import MynahBot
from bot.gateways.discord.progress import Pace
from bot.gateways.discord.sender import DiscordSender
from bot.settings import Settings
from tests.running import Home
from tests.servers.discord.people import Person
from tests.servers.discord.server import LocalDiscord
from tests.servers.discord.things import Channel, Guild, Message

T = TypeVar("T")

DISCORD = {"MYNAH_DISCORD__MESSAGE_CONTENT": "true", "MYNAH_DISCORD__USER_SECONDS": "0"}
QUICK = Pace(young_s=0.2, old_s=0.5, retry_s=0.2, sweep_s=0.2)


class LifeBot(MynahBot):
    """Mynah's own, but for pauses that tests do not wait for."""

    pace = QUICK

    def __init__(self, app: App, settings: Settings) -> None:
        super().__init__(app, settings, DiscordSender())
        self._connection.guild_ready_timeout = 0.05

    async def setup_hook(self) -> None:
        await super().setup_hook()
        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """At once, where discord.py would wait for five seconds."""


@asynccontextmanager
async def online(server: LocalDiscord, bot: LifeBot) -> AsyncIterator[LifeBot]:
    """A bot that is ready, and closed in the end."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = server.api_url, yarl.URL(server.gateway_url)
    try:
        async with bot:
            living = asyncio.create_task(bot.start(server.token))
            ready = asyncio.create_task(bot.wait_until_ready())
            await asyncio.wait([living, ready], return_when=asyncio.FIRST_COMPLETED)
            try:
                if ready.done():
                    yield bot
            finally:
                ready.cancel()
                await bot.close()
                await living
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


@dataclass(frozen=True)
class Scene:
    server: LocalDiscord
    guild: Guild
    channel: Channel
    ann: Person

    async def wait_for(self, look: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
        """Without holding up the bot's loop."""
        return await asyncio.to_thread(self.server.wait_for, look, what, timeout_s)

    def ours(self, channel: Channel | None = None) -> list[Message]:
        """What the bot and its webhooks say in a channel, as everybody sees it now."""
        with self.server.world.changed:
            said = (channel or self.channel).messages.values()
            bot = self.server.world.bot
            return [
                each for each in said if (each.webhook or each.author is bot) and not each.deleted and not each.seen_by
            ]

    async def said(self, number: int = 1, channel: Channel | None = None) -> list[Message]:
        """The bot's and its webhooks' messages, once there are so many."""
        found = await self.wait_for(lambda: len(self.ours(channel)) >= number, f"{number} messages of ours")
        assert found
        return self.ours(channel)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with LocalDiscord() as server:
        guild = server.guild("Parrots")
        yield Scene(server, guild, server.channel(guild, "general"), server.person("ann", guild))
        assert server.wrong_replies == []


@pytest.fixture(scope="module")
def ada_data(ada_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A data folder in which @ada speaks, for all tests of a file."""
    return ada_home.copy(tmp_path_factory.mktemp("ada") / "data")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(ada_data: Home) -> AsyncIterator[App]:
    """Mynah with @ada, for all tests of a file."""
    async with app_running(config.load(None, ada_data.environ() | DISCORD), make_clones=False) as app:
        yield app


@pytest.fixture(scope="module")
def settings(ada_data: Home) -> Settings:
    return config.load(None, ada_data.environ() | DISCORD)
