"""What the owner should know reaches their channel, once: among it, what came of an edit of config.toml."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlite_utils import Database

from bot import config, live_settings
from bot.app import App
from bot.app import running as app_running
from bot.settings import Settings
from tests.gateways.discord.conftest import DISCORD, LifeBot, Scene, online
from tests.running import Home


@pytest.fixture
def file(tmp_path: Path, scene: Scene) -> Path:
    """config.toml, with Ann as the owner."""
    file = tmp_path / "config.toml"
    file.write_text(f'[discord]\nowner = "{scene.ann.id}"\nowner_channel = "{scene.channel.id}"\n')
    return file


@pytest.fixture
def settings(file: Path, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in (Home(tmp_path / "data", tiny_llama).environ() | DISCORD).items():
        monkeypatch.setenv(name, value)  # where it is read anew, too
    return config.load(file, os.environ)


@pytest_asyncio.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    async with app_running(settings, make_clones=False) as app:
        yield app


async def told(scene: Scene, words: str) -> str:
    """A message that pings Ann and says so."""

    def look() -> list[str]:
        return [said.content for said in scene.ours() if words in said.content and scene.ann.user in said.mentions]

    (found,) = await scene.wait_for(look, f"a notice that says {words!r}")
    return found


async def test_an_edit_is_in_force_at_once_and_one_with_a_mistake_changes_nothing(
    app: App, scene: Scene, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_settings, "LOOK_EVERY_S", 0.05)
    before = await asyncio.to_thread(file.read_text)
    live = app.live.as_settings()
    async with app.live.watched(app.commands.notices), online(scene.server, LifeBot(app, live)):
        await asyncio.sleep(0.1)  # it has seen the file of now
        await asyncio.to_thread(file.write_text, before + "clones_a_day = 0\n")
        read = await told(scene, "config.toml was read")
        assert read == f"{scene.ann.mention} config.toml was read; changed: discord.clones_a_day."
        assert live.discord.clones_a_day == 0
        await asyncio.to_thread(file.write_text, before + 'clones_a_day = "many"\n')
        assert "discord.clones_a_day" in await told(scene, "The settings of before stay in force.")
        assert live.discord.clones_a_day == 0


async def test_a_notice_is_told_once_though_the_bot_ended_before_it_noted_that(
    app: App, settings: Settings, scene: Scene
) -> None:
    await app.commands.notices.tell("test", "Something stopped.", "Look at it.")
    async with online(scene.server, LifeBot(app, settings)):
        assert await told(scene, "Something stopped.") == f"{scene.ann.mention} Something stopped. Look at it."
        await seen(app)

    def forget(db: Database) -> None:
        db.execute("update notices set seen_at = null")

    await app.store.run(forget)
    await app.commands.notices.tell("test", "Something else did.")
    async with online(scene.server, LifeBot(app, settings)):
        await told(scene, "Something else did.")
        await seen(app)
    assert len(scene.ours()) == 2


async def seen(app: App) -> None:
    for _ in range(500):
        if not await app.commands.notices.unseen():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a notice was never seen")
