"""What keeps the bot on Discord, and what ends it for good; the commands sent by hand; what the owner is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from discord.gateway import DiscordWebSocket
from discord.http import Route
from pydantic import SecretStr

from bot import config
from bot.app import App
from bot.app import running as app_running
from bot.errors import DiscordError
from bot.gateways.discord.supervisor import Supervisor, sync_commands
from bot.settings import Settings
from tests.gateways.discord.conftest import DISCORD, LifeBot, Scene, online
from tests.running import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def base(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = Home(tmp_path_factory.mktemp("supervisor") / "data", tiny_llama)
    return config.load(None, home.environ() | DISCORD)


@pytest_asyncio.fixture(loop_scope="module")
async def app(base: Settings) -> AsyncIterator[App]:
    """One for each test, since one app has one supervisor."""
    async with app_running(base, make_clones=False) as app:
        yield app


@pytest.fixture
def settings(base: Settings, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """For the local Discord, as its owner would point there."""
    for place, name in ((Route, "BASE"), (DiscordWebSocket, "DEFAULT_GATEWAY")):
        monkeypatch.setattr(place, name, getattr(place, name))
    here = base.discord.model_copy(
        update={"base_url": scene.server.api_url, "owner": scene.ann.id, "owner_channel": scene.channel.id}
    )
    tokens = base.tokens.model_copy(update={"discord_token": SecretStr(scene.server.token)})
    return base.model_copy(update={"discord": here, "tokens": tokens})


async def test_an_event_that_cannot_be_parsed_costs_a_restart_and_no_more(
    app: App, settings: Settings, scene: Scene
) -> None:
    serving = asyncio.create_task(Supervisor(app, settings, first_pause_s=0.1).serve())
    try:
        seen = scene.server.gateway.seen
        await scene.wait_for(lambda: seen["identify"] == 1 and scene.server.gateway.connected, "the bot")
        scene.server.gateway.send_raw({"op": 0, "t": "MESSAGE_CREATE", "s": 10**6, "d": {"id": "no message"}})
        await scene.wait_for(lambda: seen["identify"] >= 2 and scene.server.gateway.connected, "the bot to be back")
        asked = scene.ann.runs(scene.channel, "models")
        await scene.wait_for(lambda: asked.answers, "an answer")
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_a_missing_intent_ends_it_with_what_to_do(app: App, settings: Settings, scene: Scene) -> None:
    scene.server.world.privileged = 0
    with pytest.raises(DiscordError) as refused:
        await Supervisor(app, settings).serve()
    assert "message_content = false" in refused.value.hint


async def test_commands_are_sent_by_hand_to_one_server_or_to_all(app: App, settings: Settings, scene: Scene) -> None:
    for_all = await sync_commands(app, settings, "")
    assert await sync_commands(app, settings, scene.guild.id) == for_all > 10
    assert scene.server.gateway.seen["identify"] == 0
    with pytest.raises(DiscordError, match="no id of a server"):
        await sync_commands(app, settings, "Parrots")


async def test_the_owner_hears_of_new_settings_once(app: App, settings: Settings, scene: Scene) -> None:
    await app.commands.notices.tell("settings", "The settings of before stay in force.", "Mend config.toml.")
    async with online(scene.server, LifeBot(app, settings)):
        told = (await scene.said())[0]
        assert scene.ann.mention in told.content and "Mend config.toml." in told.content
        await asyncio.sleep(0.5)  # until it has noted down that the owner was told
    async with online(scene.server, LifeBot(app, settings)):
        await asyncio.sleep(0.5)
        assert len(scene.ours()) == 1
