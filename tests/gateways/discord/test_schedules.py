"""`/schedule` on Discord: all that the console offers, with times as each reader's Discord shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.app import App
from bot.settings import Settings
from storage import schedules
from storage.schedules import Run
from tests.gateways.discord.conftest import LifeBot, Scene, online
from tests.servers.discord.typed_commands import Typed

pytestmark = pytest.mark.asyncio(loop_scope="module")

MONDAY = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def owned(settings: Settings, scene: Scene) -> Settings:
    discord = settings.discord.model_copy(update={"owner": scene.server.owner.id})
    return settings.model_copy(update={"discord": discord})


async def told(scene: Scene, words: str, **options: Typed) -> str:
    """What the owner is answered."""
    asked = scene.server.owner.runs(scene.channel, words, **options)
    await scene.wait_for(lambda: asked.answers and not asked.answers[-1].loading, "an answer")
    return asked.answers[-1].content


def shown(moment: datetime) -> str:
    return f"<t:{int(moment.timestamp())}:f>"


async def test_schedule_is_added_with_every_option_previewed_and_its_past_told(
    app: App, owned: Settings, scene: Scene
) -> None:
    async with online(scene.server, LifeBot(app, owned)):
        options: dict[str, Typed] = {"to": "dry", "zone": "UTC", "quiet": "23-7", "jitter": "0m", "missed": "once"}
        days: dict[str, Typed] = {"from": "2027-03-01", "until": "2027-03-03"}
        added = await told(scene, "schedule add", user="ada", when="every day 9:30", **options, **days)
        assert added.startswith("**1** @ada, every day 9:30 → dry\n-# " + shown(MONDAY))
        here = await told(scene, "schedule add", user="ada", when="every day 9:30")
        assert here.startswith(f"**2** @ada, every day 9:30 → <#{scene.channel.id}>\n")
        await told(scene, "schedule remove", number=2)
        (stored,) = await app.store.run(schedules.listed)
        assert (stored.quiet, stored.jitter_s, stored.misfire) == ("23:00-07:00", 0, "once")
        assert stored.ends_at == datetime(2027, 3, 3, 23, 59, 59, tzinfo=UTC)
        previewed = await told(scene, "schedule preview", number=1, count=5)
        assert previewed.count("<t:") == 3
        assert await told(scene, "schedule history", number=1) == "Nothing was due yet."
        missed = Run(stored.id, MONDAY, MONDAY + timedelta(days=1), "skipped", "It was missed.", None, MONDAY)
        await app.store.run(schedules.record, missed)
        past = f"{shown(MONDAY)} to {shown(MONDAY + timedelta(days=1))} skipped: It was missed."
        assert await told(scene, "schedule history", number=1) == past


async def test_dry_run_shows_what_would_be_posted_and_stores_nothing(app: App, owned: Settings, scene: Scene) -> None:
    before = await app.store.run(schedules.listed)
    async with online(scene.server, LifeBot(app, owned)):
        tried = await told(scene, "schedule add", user="ada", when="every day 9:30", to="dry", **{"dry-run": True})
    assert tried.startswith("<t:")
    assert await app.store.run(schedules.listed) == before
