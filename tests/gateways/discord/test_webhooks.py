"""A persona's name and picture in a channel: which name, how many webhooks, and whose are cleared away."""

from __future__ import annotations

from datetime import UTC, datetime

import discord
import pytest

from bot.app import App
from bot.gateways.discord.webhooks import webhook_name
from bot.posting.sender import NotSent, Sent
from bot.settings import Settings
from storage import discord as records
from storage import personas
from storage.personas import Persona
from tests.gateways.discord.conftest import LifeBot, Scene, online
from tests.servers.discord.faults import Fault
from tests.servers.discord.ratelimits import TooMany

pytestmark = pytest.mark.asyncio(loop_scope="module")


def named(name: str, handle: str = "ada") -> Persona:
    return Persona("1", handle, name, "csv", False, None, datetime.now(UTC))


@pytest.mark.parametrize(
    ("persona", "name"),
    [
        (named("Ada  Lovelace\n"), "Ada Lovelace (Mynah)"),
        (named(""), "ada (Mynah)"),
        (named("Clyde"), "ada (Mynah)"),
        (named("my DisCord", "clyde99"), "A persona (Mynah)"),
        (named("x" * 200), "x" * 71 + "… (Mynah)"),
    ],
)
async def test_a_name_says_that_it_is_an_imitation_and_is_one_that_discord_takes(persona: Persona, name: str) -> None:
    assert webhook_name(persona) == name
    assert len(name) <= 80


async def channel_of(bot: LifeBot, scene: Scene) -> discord.TextChannel:
    channel = bot.get_channel(int(scene.channel.id))
    assert isinstance(channel, discord.TextChannel)
    return channel


async def test_a_sixteenth_persona_takes_the_place_of_the_one_silent_for_longest(
    app: App, settings: Settings, scene: Scene
) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        channel = await channel_of(bot, scene)
        for number in range(16):
            persona = await app.store.run(personas.ensure, f"p{number}")
            assert isinstance(await bot.talk.webhooks.speak(channel, persona, f"I am {number}."), Sent)
        names = [webhook.name for webhook in scene.channel.webhooks]
        assert names == [f"p{number} (Mynah)" for number in range(1, 16)]
        assert len(scene.ours()) == 16


async def test_a_webhook_of_somebody_who_was_deleted_is_deleted_on_discord_too(
    app: App, settings: Settings, scene: Scene
) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        persona = await app.store.run(personas.ensure, "zoe")
        await bot.talk.webhooks.speak(await channel_of(bot, scene), persona, "Hello.")
        await app.commands.people.forget("zoe")
        await bot.talk.webhooks.clear_away()
        assert scene.channel.webhooks == []
        assert await app.store.run(records.webhook, int(scene.channel.id), persona.id) is None


async def test_a_long_wait_is_left_to_whoever_tries_again(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        persona, channel = await app.store.run(personas.ensure, "p1"), await channel_of(bot, scene)
        scene.server.break_with(Fault("POST", "/webhooks/", too_many=TooMany(60.0, "user")))
        outcome = await bot.talk.webhooks.speak(channel, persona, "Hello.")
        assert isinstance(outcome, NotSent) and outcome.until is not None
        assert 50 < (outcome.until - datetime.now(UTC)).total_seconds() <= 60
        assert scene.ours() == []
