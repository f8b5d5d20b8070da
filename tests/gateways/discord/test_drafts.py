"""Drafts on Discord: each is shown once, and whoever may decides by button, wherever it was shown before a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from bot import config
from bot.app import App
from bot.app import running as app_running
from bot.gateways.discord.cogs.drafts import DraftsCog
from bot.settings import Settings
from storage import outbox, personas
from storage.drafts import rewrite
from storage.outbox import Decided, OutboxPost, State, decide
from tests.gateways.discord.conftest import LifeBot, Scene, online
from tests.running import Home
from tests.servers.discord.things import Message

TEXT = "a calm evening with tea, *mostly* for @everyone"


class DraftsBot(LifeBot):
    """With this cog alone."""

    async def setup_hook(self) -> None:
        await self.add_cog(DraftsCog(cast(Any, self), look_every_s=0.1))
        await self.tree.sync()


@pytest_asyncio.fixture
async def app(tiny_llama: Path, tmp_path: Path) -> AsyncIterator[App]:
    home = Home(tmp_path / "data", tiny_llama)
    async with app_running(config.load(None, home.environ()), make_clones=False) as app:
        yield app


@pytest.fixture
def settings(app: App, tiny_llama: Path, tmp_path: Path, scene: Scene) -> Settings:
    settings = config.load(None, Home(tmp_path / "data", tiny_llama).environ())
    changed = settings.discord.model_copy(update={"drafts_channel": scene.channel.id, "owner": scene.ann.id})
    return settings.model_copy(update={"discord": changed})


async def drafted(app: App, text: str = TEXT, key: str = "1") -> OutboxPost:
    ada = await app.store.run(personas.ensure, "ada")
    due = datetime.now(UTC) + timedelta(hours=1)
    id = await app.store.run(decide, Decided(ada.id, None, None, "dry", text, due, key, "draft"))
    assert id is not None
    return await app.store.run(outbox.get, id)


async def state_of(app: App, post: OutboxPost) -> State:
    return (await app.store.run(outbox.get, post.id)).state


async def answered(scene: Scene, message: Message, button: str, words: str) -> None:
    """A click whose form is filled in."""
    click = scene.ann.clicks(message, button)
    await asyncio.to_thread(scene.ann.sees_modal, click)
    scene.ann.submits(click, words=words)


async def test_a_text_that_nobody_saw_is_not_approved(app: App, settings: Settings, scene: Scene) -> None:
    post = await drafted(app)
    async with online(scene.server, DraftsBot(app, settings)):
        (shown,) = await scene.said()
        await app.store.run(rewrite, post.id, "written anew at the console", None, datetime.now(UTC))
        scene.ann.clicks(shown, "Approve")
        await scene.wait_for(lambda: "written anew" in shown.embeds[0]["description"], "the new text")
        assert await state_of(app, post) == "draft"
        scene.ann.clicks(shown, "Approve")
        await scene.wait_for(lambda: not shown.components, "a message without buttons")
    assert await state_of(app, post) == "due"


async def test_draft_is_shown_and_approved_by_a_click_after_a_restart(
    app: App, settings: Settings, scene: Scene
) -> None:
    post = await drafted(app)
    async with online(scene.server, DraftsBot(app, settings)):
        (shown,) = await scene.said()
        assert "a calm evening with tea" in shown.embeds[0]["description"]
    async with online(scene.server, DraftsBot(app, settings)):
        scene.ann.clicks(shown, "Approve")
        await scene.wait_for(lambda: not shown.components, "a message without buttons")
        (only,) = scene.ours()
        assert only.embeds[0]["fields"][-1]["value"] == f"approved by <@{scene.ann.id}>"
    assert await state_of(app, post) == "due"


async def test_rejection_asks_for_a_reason_and_edit_for_words(app: App, settings: Settings, scene: Scene) -> None:
    first, second = await drafted(app), await drafted(app, "short tea", "2")
    async with online(scene.server, DraftsBot(app, settings)):
        shown = await scene.said(2)
        await answered(scene, shown[0], "Reject", "not funny")
        await scene.wait_for(lambda: not shown[0].components, "the first without buttons")
        await answered(scene, shown[1], "Edit", "long tea, and rain")
        await scene.wait_for(lambda: not shown[1].components, "the second without buttons")
    rejected, edited = [await app.store.run(outbox.get, post.id) for post in (first, second)]
    assert (rejected.state, rejected.reason) == ("rejected", "rejected: not funny")
    assert (edited.state, edited.text) == ("due", "long tea, and rain")


async def test_others_may_not_decide_and_are_told_so(app: App, settings: Settings, scene: Scene) -> None:
    post = await drafted(app)
    async with online(scene.server, DraftsBot(app, settings)):
        (shown,) = await scene.said()
        ben = scene.server.person("ben", scene.guild)
        refused = await asyncio.to_thread(ben.is_answered, ben.clicks(shown, "Approve"))
        assert "discord.may_schedule" in refused.content
    assert await state_of(app, post) == "draft"


async def test_what_was_decided_elsewhere_is_shown_here(app: App, settings: Settings, scene: Scene) -> None:
    post = await drafted(app)
    async with online(scene.server, DraftsBot(app, settings)):
        (shown,) = await scene.said()
        await app.commands.drafts.approve(post.id, "console")
        await scene.wait_for(lambda: not shown.components, "a message without buttons")
        assert shown.embeds[0]["fields"][-1]["value"] == "approved at the console"
