"""A clone of an account of X: the price is asked in the channel, and only a yes of whoever asked buys anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import discord
import pytest
import pytest_asyncio

from bot import config
from bot.app import App
from bot.app import running as app_running
from bot.gateways.discord.price_views import PriceButton
from bot.settings import Settings
from storage import clones, personas, x_collections
from tests.gateways.discord.conftest import DISCORD, LifeBot, Scene, online
from tests.running import Home
from tests.servers.discord.things import Message
from tests.servers.x import LocalX

POSTS = 120


@pytest.fixture
def x() -> Iterator[LocalX]:
    with LocalX() as server:
        author = server.world.add_account("birdwatcher")
        for number in range(POSTS):
            server.world.publish(author, f"a bird, number {number}", datetime.now(UTC) - timedelta(minutes=number + 1))
        yield server


@pytest.fixture
def settings(tiny_llama: Path, tmp_path: Path, x: LocalX) -> Settings:
    on_x = {
        "X_BEARER_TOKEN": x.door.app_token,
        "MYNAH_X__BASE_URL": x.url,
        "MYNAH_X__TRAIN_ON_API_CONTENT": "true",
        "MYNAH_CONSENT__HANDLES": "any",
    }
    return config.load(None, Home(tmp_path / "data", tiny_llama).environ() | DISCORD | on_x)


@pytest_asyncio.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    async with app_running(settings, make_clones=False) as app:
        yield app


async def question(scene: Scene) -> Message:
    """Ann asks for a clone; the bot asks back."""
    asked = scene.ann.runs(scene.channel, "clone", user="@birdwatcher", source="x", recipe="mynah")
    told = await asyncio.to_thread(scene.ann.is_answered, asked)
    assert told.content.startswith("What it costs is asked in this channel"), told.content
    (message,) = await scene.said()
    return message


async def test_a_yes_after_a_restart_buys_what_the_question_named(
    app: App, settings: Settings, scene: Scene, x: LocalX
) -> None:
    ben = scene.server.person("ben", scene.guild)
    async with online(scene.server, LifeBot(app, settings)):
        asked = await question(scene)
        assert f"{POSTS} posts ≈ $0.60, budget left $4.99" in asked.content and asked.mentions == []
        assert await app.store.run(personas.find, "birdwatcher") is None
    author = x.world.named("birdwatcher")
    assert author is not None
    x.world.publish(author, "one more", datetime.now(UTC))
    async with online(scene.server, LifeBot(app, settings)):
        refused = await asyncio.to_thread(ben.is_answered, ben.clicks(asked, "Collect them"))
        assert "put to whoever asked" in refused.content
        scene.ann.clicks(asked, "Collect them")
        await scene.wait_for(lambda: "is in line" in asked.content, "the answer to the yes")
        assert asked.components == [] and len(scene.ours()) == 2
    persona = await app.store.run(personas.find, "birdwatcher")
    assert persona is not None
    (clone,) = await app.store.run(clones.of_persona, persona.id)
    bought = await app.store.run(x_collections.of_clone, clone.id)
    assert bought is not None and (bought.depth, bought.ground) == (POSTS, "policy")
    assert (clone.recipe, clone.requested_by) == ("mynah", f"discord:{scene.ann.id}@{scene.guild.id}")


async def test_a_no_buys_nothing(app: App, settings: Settings, scene: Scene, x: LocalX) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        asked = await question(scene)
        scene.ann.clicks(asked, "No")
        await scene.wait_for(lambda: asked.content == "Nothing was collected.", "the end of the question")
        assert asked.components == []
    assert [request.path for request in x.journal] == ["/2/users/by/username/birdwatcher"]


async def test_nobody_asks_for_more_prices_a_day_than_for_clones(
    app: App, settings: Settings, scene: Scene, x: LocalX
) -> None:
    stingy = settings.model_copy(update={"discord": settings.discord.model_copy(update={"clones_a_day": 1})})
    async with online(scene.server, LifeBot(app, stingy)):
        await question(scene)
        again = scene.ann.runs(scene.channel, "clone", user="@birdwatcher", source="x")
        told = await asyncio.to_thread(scene.ann.is_answered, again)
        assert told.content == "You asked for that 1 times within a day. Ask again tomorrow."
    assert len(x.journal) == 1


async def test_a_question_of_yesterday_is_asked_anew(app: App, settings: Settings, scene: Scene, x: LocalX) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        view = discord.ui.View(timeout=None)
        view.add_item(PriceButton("clone", int(scene.ann.id), int(time.time() / 60) - 1, 5, "birdwatcher", ""))
        await bot.get_partial_messageable(int(scene.channel.id)).send("Collect them?", view=view)
        (old,) = await scene.said()
        scene.ann.clicks(old, "Collect them")
        await scene.wait_for(lambda: "a day old" in " ".join(scene.ann.reads(scene.channel)), "a refusal")
        assert old.components == []
    assert x.journal == []


async def test_the_longest_button_is_one_that_discord_takes() -> None:
    button = PriceButton("refresh", 2**64 - 1, 10**8 - 1, 3_200, "h" * 15, "r" * 32)
    assert len(button.custom_id) <= 100
