"""A clone's life in one message on Discord, with a real training, restarts, and people who delete things."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from bot import config
from bot.app import App
from bot.app import running as app_running
from bot.commands import Submitted
from bot.data_folder import DataFolder
from bot.gateways.discord.clone_facts import Line, load_page
from bot.gateways.discord.delivery import footer
from bot.gateways.discord.lengths import units
from bot.gateways.discord.views import ready_view
from bot.requests import CloneRequest
from bot.settings import Settings
from storage import clones, learning, personas
from storage import discord as records
from tests.gateways.discord.conftest import DISCORD, LifeBot, Scene, online
from tests.invented import invented_posts, write_csv
from tests.running import Home
from tests.servers.discord.faults import Fault
from tests.servers.discord.things import SEND_MESSAGES, Channel, Message
from trainer.protocol import Step

CSV = "posts.csv"


@pytest_asyncio.fixture
async def quiet_app(home: Home) -> AsyncIterator[App]:
    """Mynah in a new data folder, in which clones stay in line."""
    async with app_running(config.load(None, home.environ() | DISCORD), make_clones=False) as app:
        yield app


@pytest.fixture
def calm(home: Home) -> Settings:
    return config.load(None, home.environ() | DISCORD)


@pytest.fixture
def posts(tmp_path: Path) -> bytes:
    return write_csv(tmp_path / CSV, "bea", invented_posts(90)).read_bytes()


def story(message: Message) -> str:
    (embed,) = message.embeds
    return str(embed.get("description", ""))


async def shows(scene: Scene, words: str, channel: Channel | None = None, timeout_s: float = 15) -> Message:
    """The only message of the bot's, once it says that."""

    def look() -> list[Message]:
        return [said for said in scene.ours(channel) if said.embeds and words in story(said)]

    (found,) = await scene.wait_for(look, f"a message that says {words!r}", timeout_s)
    return found


async def in_line(app: App, channel: Channel, handle: str = "bea") -> Submitted:
    """A clone that was asked for in a channel, before its message was sent."""
    submitted = await app.commands.clone(CloneRequest(handle, Path("pyproject.toml"), requested_by="discord:7"))
    await app.store.run(records.begin_progress, submitted.clone.id, int(channel.id))
    return submitted


async def test_a_clone_lives_in_one_message_and_talks_by_its_buttons(
    home: Home, calm: Settings, scene: Scene, posts: bytes
) -> None:
    ann, channel = scene.ann, scene.channel
    async with app_running(calm) as app, online(scene.server, LifeBot(app, calm)):
        ann.types(channel, "!clone bea", files={CSV: posts})
        ready = await shows(scene, "Ready: talk to it.", timeout_s=120)
        await scene.wait_for(lambda: ready.attachments, "its picture", 60)
        assert len(scene.ours()) == 1
        seen = [request for request in scene.server.asked("PATCH", f"/messages/{ready.id}") if request.status == 200]
        assert 3 <= len(seen) <= 80
        (embed,) = ready.embeds
        assert embed["title"] == "@bea, version 1"
        assert embed["image"]["url"] == "attachment://predictions.png"
        assert [field["name"] for field in embed["fields"]] == ["It says"]
        assert [line[:2] for line in embed["fields"][0]["value"].splitlines()] == ["> "] * 5
        assert embed["footer"]["text"] == "A bot imitating @bea: made up, not said by them."
        assert [part["label"] for part in ready.components[0]["components"]] == [
            "Say more", "Card", "Schedule", "Delete",
        ]  # fmt: skip

        ann.clicks(ready, "Say more")
        _, said = await scene.said(2)
        persona = await app.store.run(personas.find, "bea")
        assert persona is not None
        assert said.author.name == "bea (Mynah)" and said.content.endswith(footer(persona))

        shown = await asyncio.to_thread(ann.is_answered, ann.clicks(ready, "Card"))
        assert [file.filename for file in shown.attachments] == ["predictions.png", "bea.md"]
        assert shown.seen_by is ann.user

        await _is_scheduled(scene, ready)
        await _is_deleted(app, scene, ready)


async def test_a_broken_zip_is_named_as_its_owner_knows_it_and_leaves_nobody_behind(
    quiet_app: App, calm: Settings, scene: Scene
) -> None:
    uploads = DataFolder(calm.data_dir).uploads
    async with online(scene.server, LifeBot(quiet_app, calm)):
        scene.ann.types(scene.channel, "!clone bea", files={"my posts.zip": b"not a zip at all"})
        (refused,) = await scene.said()
        assert refused.content == (
            "my posts.zip is no zip, or a broken one: it does not begin as zips do. "
            "Download it again, or pack the files anew."
        )
        assert list(uploads.iterdir()) == []
        assert await quiet_app.store.run(personas.find, "bea") is None


async def _is_scheduled(scene: Scene, ready: Message) -> None:
    """By somebody who manages the server."""
    refused = await asyncio.to_thread(scene.ann.is_answered, scene.ann.clicks(ready, "Schedule"))
    assert refused.content == "You may not schedule posts here. Ask whoever runs this bot."
    owner = scene.server.owner
    form = owner.clicks(ready, "Schedule")
    assert (await asyncio.to_thread(owner.sees_modal, form))["title"] == "Schedule @bea"
    sent = owner.submits(form, when="every day at 9:00", prompt="Good morning")
    answer = await asyncio.to_thread(owner.is_answered, sent)
    assert answer.content.startswith("@bea will post here: <t:") and "`/schedule pause 1`" in answer.content
    assert answer.seen_by is owner.user


async def _is_deleted(app: App, scene: Scene, ready: Message) -> None:
    """By whoever asked for it, after they were asked."""
    ann, bob = scene.ann, scene.server.person("bob", scene.guild)
    refused = await asyncio.to_thread(bob.is_answered, bob.clicks(ready, "Delete"))
    assert "You may not delete @bea here." in refused.content
    asked = await asyncio.to_thread(ann.is_answered, ann.clicks(ready, "Delete"))
    assert asked.content.startswith("Delete @bea for good") and asked.seen_by is ann.user
    ann.clicks(asked, "Delete for good")
    await scene.wait_for(lambda: asked.content.startswith("Deleted: @bea"), "the end of it", 60)
    assert await app.store.run(personas.find, "bea") is None
    await scene.wait_for(lambda: not ready.attachments, "the message to be blanked")
    assert [embed.get("description") for embed in ready.embeds] == ["This clone was deleted."]
    assert ready.components == [] and scene.channel.webhooks == []


async def test_the_same_message_goes_on_after_a_restart(quiet_app: App, calm: Settings, scene: Scene) -> None:
    app = quiet_app
    submitted = await in_line(app, scene.channel)
    async with online(scene.server, LifeBot(app, calm)):
        message = await shows(scene, "In line: it is next.")
    for state in ("collecting", "training"):
        await app.store.run(clones.move, submitted.clone.id, state)
    async with online(scene.server, LifeBot(app, calm)):
        assert (await shows(scene, "Learning …")).id == message.id
    await app.store.run(
        clones.move,
        submitted.clone.id,
        "failed",
        "",
        error_message="It *broke*.",
        error_hint="Its log is /home/ann/logs/t-1.log.",
    )
    async with online(scene.server, LifeBot(app, calm)):
        assert (await shows(scene, "broke")).id == message.id
        assert story(message) == "It \\*broke\\*.\nIts log is t-1.log."
        await until_told(app)
    assert await app.store.run(records.untold_progress) == []
    async with online(scene.server, LifeBot(app, calm)):
        assert len(scene.server.asked("PATCH", "/messages/")) == 2


async def test_samples_that_a_persona_never_says_on_discord_are_not_shown(quiet_app: App, scene: Scene) -> None:
    clone = (await in_line(quiet_app, scene.channel)).clone
    for text in ("the sea again", "tea"):
        await quiet_app.store.run(learning.add_sample, clone.id, 1, "", text)
    for state in ("collecting", "training"):
        await quiet_app.store.run(clones.move, clone.id, state)
    await quiet_app.store.run(records.set_blocked_words, clone.persona_id, ["sea"])
    page = await quiet_app.store.run(load_page, clone.id)
    assert page is not None
    assert [field.value for field in page.embed().fields] == ["> tea"]


@pytest.mark.parametrize("long", ["sea " * 100, "*" * 400, "🌊" * 200])
async def test_each_sample_of_a_ready_clone_has_its_line_however_long_they_are(
    quiet_app: App, scene: Scene, long: str
) -> None:
    clone = (await in_line(quiet_app, scene.channel)).clone
    for text in ("tea", *(f"{number} {long}" for number in range(4))):
        await quiet_app.store.run(learning.add_sample, clone.id, 1, "", text)
    for state in ("collecting", "training", "ready"):
        await quiet_app.store.run(clones.move, clone.id, state)
    page = await quiet_app.store.run(load_page, clone.id)
    assert page is not None
    (said,) = [field.value or "" for field in page.embed().fields]
    assert sorted(line[:3] for line in said.splitlines()) == ["> 0", "> 1", "> 2", "> 3", "> t"]
    assert 512 < units(said) <= 1_024


async def test_a_ready_clone_shows_its_judged_samples_first_and_mere_names_last(quiet_app: App, scene: Scene) -> None:
    clone = (await in_line(quiet_app, scene.channel)).clone
    for prompt, text in (("", "practice"), ("I think", "I think so"), ("", "(@bea #tea)"), ("", "the sea")):
        await quiet_app.store.run(learning.add_sample, clone.id, 1, prompt, text)
    for state in ("collecting", "training", "ready"):
        await quiet_app.store.run(clones.move, clone.id, state)
    page = await quiet_app.store.run(load_page, clone.id)
    assert page is not None
    assert page.samples == ["the sea", "practice", "I think so", "(@bea #tea)"]


async def test_the_line_is_told_in_threads_and_direct_messages(
    quiet_app: App, calm: Settings, scene: Scene, tmp_path: Path
) -> None:
    thread, dm = scene.server.thread(scene.channel, "nest"), scene.ann.dm()
    await in_line(quiet_app, thread, "bea")
    await in_line(quiet_app, dm, "cleo")
    async with online(scene.server, LifeBot(quiet_app, calm)):
        await shows(scene, "In line: it is next.", thread)
        message = await shows(scene, "In line: one other comes first.", dm)
        assert "It begins" not in story(message)  # the persona that came with Mynah tells nothing of that
        await quiet_app.commands.train_cancel("bea")
        await shows(scene, "Cancelled.", thread)
        await shows(scene, "In line: it is next.", dm)
        assert message.earlier != []


async def test_who_waits_is_told_when_it_is_their_turn(quiet_app: App, scene: Scene) -> None:
    clone = (await in_line(quiet_app, scene.channel)).clone
    page = await quiet_app.store.run(load_page, clone.id)
    assert page is not None
    began = datetime.now(UTC) - timedelta(seconds=60)
    for typical_s, left_s, wait_s in ((100.0, 20.0, 120), (100.0, None, 200), (None, 20.0, 100)):
        Line({clone.id: 1}, typical_s, began).put(page, left_s)
        (begins,) = re.findall(
            r"^In line: 2 others come first\. It begins about <t:(\d+):R>\.$", page.embed().description or ""
        )
        assert int(begins) - time.time() == pytest.approx(wait_s, abs=5)
    Line({clone.id: 1}, None, began).put(page, None)
    assert page.embed().description == "In line: 2 others come first."  # nobody can say


async def test_where_none_was_made_yet_the_first_one_tells_the_others_when_it_ends(
    quiet_app: App, calm: Settings, scene: Scene
) -> None:
    first = (await quiet_app.commands.clone(CloneRequest("ada", Path("pyproject.toml")))).clone
    await in_line(quiet_app, scene.channel)
    for state in ("collecting", "training"):
        await quiet_app.store.run(clones.move, first.id, state)
    async with online(scene.server, LifeBot(quiet_app, calm)):
        message = await shows(scene, "In line: one other comes first.")
        for step, eta_s in ((1, 9_000.0), (6, 300.0)):  # what it says at its beginning is a guess
            event = Step(step=step, of=60, loss=3.0, tokens_per_s=200.0, eta_s=eta_s)
            await quiet_app.cloning._tell(first, event)
        await shows(scene, "It begins about <t:")
        (begins,) = re.findall(r"<t:(\d+):R>", story(message))
        assert int(begins) - time.time() == pytest.approx(300, abs=20)


async def test_a_message_that_somebody_deleted_is_let_go(quiet_app: App, calm: Settings, scene: Scene) -> None:
    await in_line(quiet_app, scene.channel, "bea")
    other = scene.server.channel(scene.guild, "other")
    await in_line(quiet_app, other, "cleo")
    async with online(scene.server, LifeBot(quiet_app, calm)):
        message = await shows(scene, "In line: it is next.")
        await shows(scene, "In line: one other", other)
        scene.server.world.delete(message)
        scene.server.world.remove_channel(other)
        await quiet_app.commands.train_cancel("bea")
        await quiet_app.commands.train_cancel("cleo")
        await until_told(quiet_app)
    assert scene.ours() == []


async def test_a_message_of_a_clone_that_is_gone_shows_nothing_of_it(
    quiet_app: App, calm: Settings, scene: Scene
) -> None:
    submitted = await in_line(quiet_app, scene.channel)
    async with online(scene.server, LifeBot(quiet_app, calm)):
        message = await shows(scene, "In line: it is next.")
    await quiet_app.commands.people.forget(submitted.handle)
    async with online(scene.server, LifeBot(quiet_app, calm)):
        await shows(scene, "This clone was deleted.")
        assert "bea" not in str(message.embeds)


async def test_an_edit_that_did_not_reach_discord_is_made_again(quiet_app: App, calm: Settings, scene: Scene) -> None:
    submitted = await in_line(quiet_app, scene.channel)
    path = f"/channels/{scene.channel.id}/messages"
    scene.server.break_with(Fault("POST", path, lose_answer=True))
    async with online(scene.server, LifeBot(quiet_app, calm)):
        await shows(scene, "In line: it is next.")
        scene.server.break_with(Fault("PATCH", path, cut=True, times=2))
        scene.server.break_with(Fault("PATCH", path, status=503))
        await quiet_app.commands.train_cancel(submitted.handle)
        await shows(scene, "Cancelled.")
    assert len(scene.ours()) == 1


async def test_a_message_is_brought_up_to_date_hours_later(quiet_app: App, calm: Settings, scene: Scene) -> None:
    submitted = await in_line(quiet_app, scene.channel)
    async with online(scene.server, LifeBot(quiet_app, calm)):
        message = await shows(scene, "In line: it is next.")
        scene.server.clock.advance(20 * 3_600)
        await quiet_app.commands.train_cancel(submitted.handle)
        assert (await shows(scene, "Cancelled.")).id == message.id


async def test_where_the_bot_may_not_write_whoever_asked_is_told(
    quiet_app: App, calm: Settings, scene: Scene, posts: bytes
) -> None:
    scene.channel.denied_to_bot = SEND_MESSAGES
    async with online(scene.server, LifeBot(quiet_app, calm)):
        what = scene.ann.runs(scene.channel, "clone", user="bea", file=(CSV, posts))
        answer = await asyncio.to_thread(scene.ann.is_answered, what)
        assert "The bot may not write in this channel" in answer.content
    assert await quiet_app.store.run(records.untold_progress) == []


async def test_a_slash_command_is_answered_once_and_told_of_in_the_channel(
    quiet_app: App, calm: Settings, scene: Scene, posts: bytes
) -> None:
    async with online(scene.server, LifeBot(quiet_app, calm)):
        what = scene.ann.runs(scene.channel, "clone", user="bea", file=(CSV, posts))
        answer = await asyncio.to_thread(scene.ann.is_answered, what)
        assert answer.content == "@bea is in line; the message here tells how it goes."
        assert answer.seen_by is scene.ann.user and what.followups == []
        await shows(scene, "In line: it is next.")


async def test_a_button_of_a_clone_that_is_gone_says_so(quiet_app: App, calm: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(quiet_app, calm)) as bot:
        channel = bot.get_partial_messageable(int(scene.channel.id))
        await channel.send("an old one", view=ready_view("0" * 26))
        (old,) = await scene.said()
        for button in ("Say more", "Card", "Schedule", "Delete"):
            answer = await asyncio.to_thread(scene.ann.is_answered, scene.ann.clicks(old, button))
            assert answer.content == "That clone is not here any more. See /models for those that are."


async def until_told(app: App) -> None:
    """All that is to be said was said."""
    for _ in range(150):
        if not await app.store.run(records.untold_progress):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("something was not told")
