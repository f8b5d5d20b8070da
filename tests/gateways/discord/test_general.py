"""What holds for all commands: who may use them, how often, how they are written, and what is answered to a mistake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import discord
import pytest
import pytest_asyncio

from bot import config
from bot.app import App
from bot.app import running as app_running
from bot.bundled import bundled_handle
from bot.gateways.discord import sync
from bot.gateways.discord.bot import intents
from bot.settings import Settings
from storage import clones, personas
from tests.gateways.discord.conftest import DISCORD, LifeBot, Scene, online
from tests.running import Home
from tests.servers.discord.faults import Fault
from tests.servers.discord.people import Person
from tests.servers.discord.things import Channel, Interaction


@pytest.fixture(scope="module")
def settings(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a Mynah in which nothing has happened yet."""
    home = Home(tmp_path_factory.mktemp("general") / "data", tiny_llama)
    return config.load(None, home.environ() | DISCORD)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(settings: Settings) -> AsyncIterator[App]:
    async with app_running(settings, make_clones=False) as app:
        yield app


pytestmark = pytest.mark.asyncio(loop_scope="module")


def tuned(settings: Settings, **changed: object) -> Settings:
    return settings.model_copy(update={"discord": settings.discord.model_copy(update=changed)})


async def answer(scene: Scene, what: Interaction, who: Person | None = None) -> str:
    """What somebody is told."""
    await scene.wait_for(lambda: what.answers and not what.answers[-1].loading, "an answer")
    return what.answers[-1].content


async def reads(scene: Scene, words: str, channel: Channel | None = None) -> None:
    """Somebody sees those words in the channel."""
    await scene.wait_for(
        lambda: any(words in said.content for said in scene.ours(channel)), f"{words!r} in the channel"
    )


async def test_slash_prefix_and_mention_are_one_command(app: App, settings: Settings, scene: Scene) -> None:
    scene.server.world.privileged |= 1 << 15
    async with online(scene.server, LifeBot(app, settings)):
        assert bundled_handle() in await answer(scene, scene.ann.runs(scene.channel, "models"))
        scene.ann.types(scene.channel, "!models")
        await reads(scene, bundled_handle())
        scene.ann.types(scene.channel, "@Mynah models")
        await scene.said(2)


async def test_help_says_what_can_be_asked_for_and_how_it_is_written_here(
    app: App, settings: Settings, scene: Scene
) -> None:
    other = tuned(settings, server_prefixes=(f"{scene.guild.id} ?",))
    async with online(scene.server, LifeBot(app, other)):
        scene.ann.types(scene.channel, "@Mynah help")
        (told,) = await scene.said()
        assert "`/blend`" in told.content and told.content.endswith("Without slash: `?models` or `@Mynah models`.")
        assert len(told.content) < 600
        assert await answer(scene, scene.ann.runs(scene.channel, "help")) == told.content


async def test_without_the_intent_a_mention_and_a_direct_message_are_heard(
    app: App, settings: Settings, scene: Scene
) -> None:
    unprivileged = tuned(settings, message_content=False)
    assert not intents(unprivileged).message_content
    async with online(scene.server, LifeBot(app, unprivileged)):
        scene.ann.types(scene.channel, "!models")
        scene.ann.types(scene.channel, "@Mynah models")
        await reads(scene, bundled_handle())
        scene.ann.types(scene.ann.dm(), "!models")
        await reads(scene, bundled_handle(), scene.ann.dm())
        assert len(scene.ours()) == 1


async def test_what_a_typed_command_cannot_take_is_told(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        scene.ann.types(scene.channel, "!say ada 1984 was a year")
        await reads(scene, "1984 is out of range: it may be 1 to 5.")
        scene.ann.types(scene.channel, "!refresh ada file=")
        await reads(scene, "Here a file is attached, not named.")
    assert await app.commands.train_status() == []


async def test_commands_are_heard_in_threads(app: App, settings: Settings, scene: Scene) -> None:
    thread = scene.server.thread(scene.channel, "birds")
    async with online(scene.server, LifeBot(app, settings)):
        assert bundled_handle() in await answer(scene, scene.ann.runs(thread, "models"))


async def test_only_those_named_may_clone_and_only_so_often(app: App, settings: Settings, scene: Scene) -> None:
    bea = scene.server.person("bea", scene.guild)
    async with online(scene.server, LifeBot(app, tuned(settings, may_clone=(bea.id,), clones_a_day=0))):
        refused = await answer(scene, scene.ann.runs(scene.channel, "clone", user="somebody"))
        assert "discord.may_clone" in refused
        spent = await answer(scene, bea.runs(scene.channel, "clone", user="somebody"))
        assert "Ask again tomorrow." in spent


async def test_administration_is_the_owners(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, tuned(settings, owner=scene.server.owner.id))):
        assert "discord.owner" in await answer(scene, scene.ann.runs(scene.channel, "admin stats"))
        stats = await answer(scene, scene.server.owner.runs(scene.channel, "admin stats"))
        assert "1 personas" in stats and "1 servers" in stats
        pigeon, owner = bundled_handle(), scene.server.owner
        for what, answered in {
            "links hashtags": f"@{pigeon}: posts may have hashtags, links.",
            "everything": "'everything' cannot be allowed.",
            "default": "as guard.mentions, guard.hashtags and guard.links say.",
        }.items():
            asked = owner.runs(scene.channel, "persona allow", handle=pigeon, what=what)
            assert answered in await answer(scene, asked)


async def test_asking_too_often_is_told_in_seconds(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, tuned(settings, user_seconds=600))):
        await answer(scene, scene.ann.runs(scene.channel, "say", user="nobody.here"))
        hasty = await answer(scene, scene.ann.runs(scene.channel, "blend", users="@ada @bea"))
        assert hasty == "A little slower, please. Again in 600 s."
        assert bundled_handle() in await answer(scene, scene.ann.runs(scene.channel, "models"))


async def test_a_server_has_a_quota_of_clones(app: App, settings: Settings, scene: Scene) -> None:
    elsewhere = scene.server.guild("Owls")
    scene.ann.joins(elsewhere)
    aviary = scene.server.channel(elsewhere, "aviary")
    persona = await app.store.run(personas.ensure, "quota")
    by = f"discord:1@{scene.guild.id}"
    await app.store.run(clones.enqueue, persona.id, "mynah", "{}", "gpt2", 1, by, None)
    async with online(scene.server, LifeBot(app, tuned(settings, server_clones_a_day=1))):
        spent = await answer(scene, scene.ann.runs(scene.channel, "clone", user="somebody"))
        assert spent == "This server asked for 1 clone within a day. Ask again tomorrow."
        assert "There are no posts" in await answer(scene, scene.ann.runs(aviary, "clone", user="somebody"))


async def test_a_server_may_have_a_prefix_of_its_own(app: App, settings: Settings, scene: Scene) -> None:
    scene.server.world.privileged |= 1 << 15
    owls = scene.server.guild("Owls")
    scene.ann.joins(owls)
    aviary = scene.server.channel(owls, "aviary")
    async with online(scene.server, LifeBot(app, tuned(settings, server_prefixes=(f"{scene.guild.id} ?",)))):
        scene.ann.types(scene.channel, "!models")
        scene.ann.types(aviary, "!models")
        await reads(scene, bundled_handle(), aviary)
        assert scene.ours() == []
        scene.ann.types(scene.channel, "?models")
        await reads(scene, bundled_handle())


async def test_a_mistake_is_answered_with_a_sentence_and_a_hint(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        wrong = await answer(scene, scene.ann.runs(scene.channel, "say", user="nobody.here"))
        assert "@nobody.here" in wrong and "/models" in wrong
        voiceless = await answer(scene, scene.ann.runs(scene.channel, "clone"))
        assert voiceless.startswith("Whose voice?")
        fileless = await answer(scene, scene.ann.runs(scene.channel, "clone", user="@cleo"))
        assert fileless.endswith(
            "/clone @cleo with a file attached (an X archive, CSV, JSON, or text with one post a line)."
        )


async def test_whoever_waits_while_the_bot_stops_is_told(app: App, settings: Settings, scene: Scene) -> None:
    fetching = scene.server.break_with(Fault("GET", "/attachments", stall=True))
    async with online(scene.server, LifeBot(app, settings)):
        asked = scene.ann.runs(scene.channel, "clone", user="ann", file=("posts.csv", b"text\nhello\n"))
        await asyncio.to_thread(fetching.met.wait, 10)
    assert await answer(scene, asked) == "Mynah stopped before this was done. Ask again in a minute."


async def test_a_button_of_a_mynah_of_before_is_answered(app: App, settings: Settings, scene: Scene) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="Sing", custom_id="sing:1"))
    async with online(scene.server, LifeBot(app, settings)) as bot:
        await bot.get_partial_messageable(int(scene.channel.id)).send("an old one", view=view)
        (old,) = await scene.said()
    async with online(scene.server, LifeBot(app, settings)):
        told = await answer(scene, scene.ann.clicks(old, "Sing"))
        assert told.startswith("That button is of a Mynah of before")


async def test_a_file_too_large_is_not_even_fetched(app: App, settings: Settings, scene: Scene) -> None:
    large = ("posts.csv", b"x" * 1_000_001)
    async with online(scene.server, LifeBot(app, tuned(settings, upload_mb=1))):
        told = await answer(scene, scene.ann.runs(scene.channel, "clone", user="ann", file=large))
        assert "larger than 1 MB" in told and "mynah clone FILE" in told
    uploads = Path(settings.data_dir) / "uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []


async def test_personas_and_recipes_are_suggested(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)):

        def suggested(command: str, option: str, begun: str, **others: str) -> list[str]:
            return [
                choice["value"] for choice in scene.ann.is_suggested(scene.channel, command, option, begun, **others)
            ]

        handle = bundled_handle()
        assert await scene.wait_for(lambda: suggested("say", "user", handle[:3]), "suggestions") == [handle]
        assert "mynah" in await scene.wait_for(lambda: suggested("clone", "recipe", "my"), "suggestions")


async def test_commands_are_sent_only_where_they_changed(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        await sync.sync_where_changed(bot.tree, app.store, scene.guild.id)
        sent = len(scene.server.asked("PUT", f"/guilds/{scene.guild.id}/commands"))
        assert not await sync.sync_where_changed(bot.tree, app.store, scene.guild.id)
        assert len(scene.server.asked("PUT", f"/guilds/{scene.guild.id}/commands")) == sent == 1
