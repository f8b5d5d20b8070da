"""Whose voice it is: a member is asked in the channel, answers alone, hands a file over, can have it all deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.app import App, running
from bot.settings import Settings
from bot.settings.discord import Discord
from storage import clones, consents, personas
from storage.clones import Clone
from tests.bot.people.test_forgetting import left
from tests.bot.sources.archives import write_zip
from tests.gateways.discord.conftest import LifeBot, Scene, online
from tests.servers.discord.people import Person
from tests.servers.discord.things import Interaction, Message

SAID = "a teaspoon of thunder under the stairs"
CHANNEL = "Nachrichten/c1234567890123456"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", discord=Discord(message_content=True, user_seconds=0))


@pytest_asyncio.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    async with running(settings, make_clones=False) as app:
        yield app


@pytest.fixture
def bob(scene: Scene) -> Person:
    return scene.server.person("bob", scene.guild)


@pytest.fixture
def package(tmp_path: Path) -> bytes:
    """Bob's data package, in German."""
    files = {
        "Konto/user.json": json.dumps({"id": "1", "username": "bob"}),
        f"{CHANNEL}/channel.json": json.dumps({"id": "1", "type": "GUILD_TEXT", "guild": {"id": "1", "name": "G"}}),
        f"{CHANNEL}/messages.json": json.dumps([{"ID": 1, "Timestamp": "2024-01-01 10:00:00", "Contents": SAID}]),
    }
    return write_zip(tmp_path / "package.zip", files).read_bytes()


async def answered(person: Person, what: Interaction) -> Message:
    return await asyncio.to_thread(person.is_answered, what)


async def asked(scene: Scene, bob: Person) -> Message:
    """Ann wishes for a clone of Bob; the question to him."""
    private = await answered(scene.ann, scene.ann.runs(scene.channel, "clone", user=bob.mention))
    assert private.content.startswith("They are asked in this channel.") and private.seen_by is scene.ann.user
    (question,) = await scene.said()
    return question


async def clones_of(app: App, handle: str) -> list[Clone]:
    persona = await app.store.run(personas.find, handle)
    return await app.store.run(clones.of_persona, persona.id) if persona else []


async def test_a_member_agrees_and_hands_over_their_package(
    app: App, settings: Settings, scene: Scene, bob: Person, package: bytes
) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        question = await asked(scene, bob)
        assert bob.mention in question.content and "Request all of my data" in question.content
        assert [user.id for user in question.mentions] == [bob.id]
        others = await answered(scene.ann, scene.ann.clicks(question, "I agree"))
        assert others.content.startswith("That question is put to somebody else.")
        early = await answered(bob, bob.clicks(question, "Upload"))
        assert early.content.startswith("Press *I agree* first.")
    async with online(scene.server, LifeBot(app, settings)):  # after a restart
        await answered(bob, bob.clicks(question, "I agree"))
        assert "agreed (<t:" in question.content
        shown = bob.clicks(question, "Upload")
        await asyncio.to_thread(bob.sees_modal, shown)
        done = await answered(bob, bob.submits(shown, file=("package.zip", package)))
        assert done.content == "@bob is in line; the message here tells how it goes."
        assert len(await scene.said(2)) == 2
        (clone,) = await clones_of(app, "bob")
        assert clone.requested_by == f"discord:{bob.id}@{scene.guild.id}"
        assert clone.source_path is not None
        assert await asyncio.to_thread(Path(clone.source_path).read_bytes) == package


async def test_a_member_who_says_no_is_not_cloned(app: App, settings: Settings, scene: Scene, bob: Person) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        question = await asked(scene, bob)
        await answered(bob, bob.clicks(question, "No"))
        assert (question.content, question.components) == ("They said no, and nothing is kept.", [])
        assert await app.store.run(lambda db: db.table("consent_requests").count) == 0


async def test_who_is_asked_twice_gets_one_message_and_never_is_never(
    app: App, settings: Settings, scene: Scene, bob: Person
) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        question = await asked(scene, bob)
        again = await answered(scene.ann, scene.ann.runs(scene.channel, "clone", user=bob.mention))
        assert again.content.startswith("They are asked in this channel already")
        bob.clicks(question, "Never ask")
        await scene.wait_for(lambda: "never asked" in " ".join(bob.reads(scene.channel)), "the opt-out")
        refused = await answered(scene.ann, scene.ann.runs(scene.channel, "clone", user=bob.mention))
        assert "opted out" in refused.content
        assert left(settings.data_dir, bob.id) == []


async def test_a_member_opts_out_and_all_that_is_theirs_goes(
    app: App, settings: Settings, scene: Scene, bob: Person, package: bytes
) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        own = await answered(bob, bob.runs(scene.channel, "clone", user=bob.mention, file=("p.zip", package)))
        assert own.content.startswith("@bob is in line")
        shown = await answered(bob, bob.runs(scene.channel, "optout"))
        assert shown.seen_by is bob.user
        bob.clicks(shown, "Delete for good")
        await scene.wait_for(lambda: "salted hash" in shown.content, "the deletion")
        assert await clones_of(app, "bob") == []
        assert left(settings.data_dir, bob.id, SAID) == []
        again = await answered(bob, bob.runs(scene.channel, "clone", user=bob.mention, file=("p.zip", package)))
        assert "opted out" in again.content


async def test_a_persona_is_deleted_only_by_those_whose_it_is(
    app: App, settings: Settings, scene: Scene, bob: Person, package: bytes
) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        await answered(bob, bob.runs(scene.channel, "clone", user=bob.mention, file=("p.zip", package)))
        refused = await answered(scene.ann, scene.ann.runs(scene.channel, "forget", user="bob"))
        assert refused.content.startswith("You may not delete @bob here.")
        added = await answered(scene.ann, scene.ann.runs(scene.channel, "clone", user="bob", file=("p.zip", package)))
        assert added.content.startswith("@bob is somebody else's voice here.")
        claimed = await answered(scene.ann, scene.ann.runs(scene.channel, "optout", user="bob"))
        assert claimed.content.startswith("Whether you are @bob is not known here.")
        shown = await answered(bob, bob.runs(scene.channel, "forget", user="bob"))
        await answered(bob, bob.clicks(shown, "Keep"))
        assert len(await clones_of(app, "bob")) == 1
        shown = await answered(bob, bob.runs(scene.channel, "forget", user="bob"))
        bob.clicks(shown, "Delete for good")
        await scene.wait_for(lambda: shown.content.startswith("Deleted: @bob"), "the deletion")
        assert await clones_of(app, "bob") == []


async def test_everybody_may_read_what_is_kept(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        said = await answered(scene.ann, scene.ann.runs(scene.channel, "privacy"))
        assert said.content.startswith("What is kept:") and "/optout deletes all that is yours" in said.content
        assert said.seen_by is scene.ann.user


async def test_consent_is_kept_with_its_time(app: App) -> None:
    request = await app.commands.people.ask("42", "discord:7@1", "5")
    agreed = await app.commands.people.agree(request.id)
    assert await app.store.run(consents.take_agreement, "42") == agreed.agreed_at
    assert await app.store.run(consents.take_agreement, "42") is None
