"""`/outbox` on Discord: a bot without a console asks what became of a post, and hears it here."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlite_utils import Database

from bot.app import App
from bot.settings import Settings
from storage import outbox, personas
from storage.outbox import Decided, decide
from tests.gateways.discord.conftest import LifeBot, Scene, online

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def owned(settings: Settings, scene: Scene) -> Settings:
    discord = settings.discord.model_copy(update={"owner": scene.server.owner.id})
    return settings.model_copy(update={"discord": discord})


def asked_about(db: Database, text: str) -> str:
    """As after a connection that broke while a post was sent, and a timeline on which it was not found."""
    now = datetime.now(UTC)
    decided = Decided(personas.ensure(db, "ada").id, None, None, "dry", text, now + timedelta(hours=1), text, "due")
    id = decide(db, decided)
    assert id is not None
    for state in ("claimed", "uncertain", "asked"):
        outbox.move(db, id, state, "nobody found it", now)
    return id


async def test_fate_of_a_post_is_listed_and_told_by_the_owner_alone(app: App, owned: Settings, scene: Scene) -> None:
    there, gone = [await app.store.run(asked_about, text) for text in ("tea at four", "tea at five")]
    async with online(scene.server, LifeBot(app, owned)):
        listed = await asyncio.to_thread(
            scene.server.owner.is_answered, scene.server.owner.runs(scene.channel, "outbox list")
        )
        assert f"`{there[-8:]}`" in listed.content and "asked (nobody found it): tea at four" in listed.content

        refused = await asyncio.to_thread(
            scene.ann.is_answered, scene.ann.runs(scene.channel, "outbox sent", post=there)
        )
        assert "discord.may_administrate" in refused.content

        for words, id, said in (("outbox sent", there, "sent"), ("outbox drop", gone[-8:], "skipped")):
            told = await asyncio.to_thread(
                scene.server.owner.is_answered, scene.server.owner.runs(scene.channel, words, post=id)
            )
            assert said in told.content
        again = await asyncio.to_thread(
            scene.server.owner.is_answered, scene.server.owner.runs(scene.channel, "outbox resend", post=there)
        )
        assert "there is nothing to answer" in again.content
    states = [(await app.store.run(outbox.get, id)).state for id in (there, gone)]
    assert states == ["sent", "skipped"]
    moves = await app.store.run(outbox.history, there)
    assert moves[-1].detail == "a person found it on the account"
