"""Personas answer people on Discord: whom, in whose name, how often, and what is never kept of it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import discord
import pytest

from bot.app import App
from bot.gateways.discord.turns import Turns
from bot.guard.unsaid import holds
from bot.settings import Settings
from bot.settings.speaking import Speaking
from storage import discord as records
from tests.gateways.discord.conftest import LifeBot, Scene, online
from tests.running import Home
from tests.servers.discord.faults import Fault
from tests.servers.discord.ratelimits import TooMany
from tests.servers.discord.things import MANAGE_WEBHOOKS, READ_MESSAGE_HISTORY

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOOTER = "\n-# a bot imitating @ada"


def with_speaking(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"speaking": Speaking(**changes)})


async def settle() -> None:
    """Long enough for an answer that should not come."""
    await asyncio.sleep(1.0)


async def test_a_persona_answers_a_mention_in_its_own_name(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        scene.ann.types(scene.channel, "@Mynah @ada, do you like the sea?")
        (said,) = await scene.said()
        assert said.webhook is not None and said.author.name == "ada (Mynah)"
        assert re.fullmatch(r"data:image/png;base64,.{100,}", said.webhook.avatar or "")
        assert said.content.endswith(FOOTER) and len(said.content) > len(FOOTER)
        assert said.mentions == [] and scene.channel.typed_at


async def test_a_reply_to_a_persona_reaches_it(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        scene.ann.types(scene.channel, "@Mynah ada hello")
        (said,) = await scene.said()
        scene.ann.types(scene.channel, "what did you say?", reply_to=said)
        both = await scene.said(2)
        assert [each.author.name for each in both] == ["ada (Mynah)"] * 2
        webhooks = scene.server.asked("POST", f"/channels/{scene.channel.id}/webhooks")
        assert len(webhooks) == 1


async def test_a_persona_speaks_in_threads_and_in_direct_messages(app: App, settings: Settings, scene: Scene) -> None:
    thread, dm = scene.server.thread(scene.channel, "nest"), scene.ann.dm()
    async with online(scene.server, LifeBot(app, settings)):
        scene.ann.types(thread, "@Mynah ada hello")
        scene.ann.types(dm, "ada hello")
        ((in_thread,), (private,)) = (await scene.said(1, thread), await scene.said(1, dm))
        assert in_thread.webhook is not None and in_thread.channel is thread
        assert private.webhook is None and private.content.endswith(FOOTER)
        scene.ann.types(dm, "and you?", reply_to=private)
        assert len(await scene.said(2, dm)) == 2


async def test_where_no_webhook_is_allowed_the_bot_says_it(app: App, settings: Settings, scene: Scene) -> None:
    scene.channel.denied_to_bot = MANAGE_WEBHOOKS | READ_MESSAGE_HISTORY
    async with online(scene.server, LifeBot(app, settings)):
        scene.ann.types(scene.channel, "@Mynah ada hello")
        (said,) = await scene.said()
        assert (said.webhook, said.author.name) == (None, "Mynah")
        assert said.content.endswith(FOOTER) and said.nonce is not None


async def test_nobody_answers_bots_webhooks_or_what_is_not_for_them(app: App, settings: Settings, scene: Scene) -> None:
    other = scene.server.world.add_user("Otherbot", bot=True)
    async with online(scene.server, LifeBot(app, settings)) as bot:
        channel = bot.get_channel(int(scene.channel.id))
        assert isinstance(channel, discord.TextChannel)
        hook = await channel.create_webhook(name="Somebody")
        await hook.send(f"<@{scene.server.world.bot.id}> ada hello", wait=True)
        type(scene.ann)(scene.server.world, other).types(scene.channel, "@Mynah ada hello")
        scene.ann.types(scene.channel, "hello everybody")
        await settle()
        assert [said.author.name for said in scene.ours()] == ["Somebody"]


async def test_a_mention_that_means_nobody_is_explained_now_and_then(
    app: App, settings: Settings, scene: Scene
) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        asked = scene.ann.types(scene.channel, "@Mynah who are you?")
        (help,) = await scene.said()
        assert help.content.startswith("Nobody answers here unless you name them") and help.reply_to is asked
        scene.ann.types(scene.channel, "@Mynah and who else?")
        scene.ann.types(scene.channel, "thanks", reply_to=help)
        scene.ann.types(scene.ann.dm(), "hello?")
        await scene.said(1, scene.ann.dm())
        assert len(scene.ours()) == 1


async def test_a_lot_of_talk_in_a_channel_comes_to_a_stop(app: App, settings: Settings, scene: Scene) -> None:
    quick = with_speaking(settings, turns_a_minute=2)
    async with online(scene.server, LifeBot(app, quick)):
        for number in range(2):
            scene.ann.types(scene.channel, f"@Mynah ada {number}")
        await scene.said(2)
        scene.ann.types(scene.channel, "@Mynah ada and now?")
        *_, last = await scene.said(3)
        assert last.content == "A lot was said here lately. Ask again in a minute or two."


@pytest.mark.parametrize("fault", ["done, then 500", "answer lost", "500", "busy"])
async def test_nothing_is_said_twice_by_webhook(app: App, settings: Settings, scene: Scene, fault: str) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        scene.ann.types(scene.channel, "@Mynah ada hello")
        await scene.said()
        faults = {
            "done, then 500": Fault("POST", "/webhooks/", status=500, done_first=True),
            "answer lost": Fault("POST", "/webhooks/", lose_answer=True),
            "500": Fault("POST", "/webhooks/", status=503),
            "busy": Fault("POST", "/webhooks/", too_many=TooMany(0.1, "user")),
        }
        struck = scene.server.break_with(faults[fault])
        scene.ann.types(scene.channel, "@Mynah ada again")
        assert await asyncio.to_thread(struck.met.wait, 20)
        await settle()
        expected = 1 if fault == "500" else 2
        assert len(scene.ours()) == expected
        assert len(scene.server.asked("POST", "/webhooks/")) == (3 if fault == "busy" else 2)


@pytest.mark.parametrize("fault", ["done, then 500", "answer lost"])
async def test_nothing_is_said_twice_by_the_bot(app: App, settings: Settings, scene: Scene, fault: str) -> None:
    own = with_speaking(settings, webhooks=False)
    path = f"/channels/{scene.channel.id}/messages"
    async with online(scene.server, LifeBot(app, own)):
        lost = fault == "answer lost"
        struck = scene.server.break_with(
            Fault("POST", path, lose_answer=True) if lost else Fault("POST", path, status=500, done_first=True)
        )
        scene.ann.types(scene.channel, "@Mynah ada hello")
        assert await asyncio.to_thread(struck.met.wait, 20)
        await scene.wait_for(lambda: len(scene.server.asked("POST", path)) == 2, "the second try")
        await settle()
        assert len(scene.ours()) == 1


async def test_a_webhook_that_somebody_deleted_is_made_again(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        scene.ann.types(scene.channel, "@Mynah ada hello")
        (said,) = await scene.said()
        with scene.server.world.changed:
            assert said.webhook is not None
            del scene.server.world.webhooks[said.webhook.id]
            scene.channel.webhooks.clear()
        scene.ann.types(scene.channel, "@Mynah ada hello?")
        again = await scene.said(2)
        assert again[1].webhook is not said.webhook


async def test_what_people_write_is_kept_nowhere(app: App, ada_data: Home, settings: Settings, scene: Scene) -> None:
    secrets = ["the quick xylophone", "a purple zeppelin", "seventeen walruses", "an orange quokka"]
    async with online(scene.server, LifeBot(app, settings)):
        scene.ann.types(scene.channel, secrets[0])
        scene.ann.types(scene.channel, f"@Mynah ada {secrets[1]}")
        (said,) = await scene.said()
        scene.ann.types(scene.channel, secrets[2], reply_to=said)
        await scene.said(2)
        scene.ann.types(scene.ann.dm(), f"ada {secrets[3]}")
        await scene.said(1, scene.ann.dm())
    await app.store.run(lambda db: db.execute("pragma wal_checkpoint(truncate)").fetchall())
    kept = [path.read_bytes() for path in ada_data.data.rglob("*") if path.is_file() and path.suffix != ".gguf"]
    assert len(kept) > 3
    for secret in secrets:
        for word in secret.split()[-1:]:
            assert not [content for content in kept if word.encode() in content]


async def test_a_persona_never_says_its_blocked_words(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        ada = await bot.talk.persona("ada")
        letters = ", ".join(chr(97 + number) for number in range(26))
        what = scene.server.owner.runs(scene.channel, "persona words", handle="ada", words=f"{letters}, i'm, my, the")
        answer = await asyncio.to_thread(scene.server.owner.is_answered, what)
        try:
            assert answer.content == "29 words are never said by @ada on Discord."
            for _ in range(3):
                scene.ann.types(scene.channel, "@Mynah ada hello")
            for said in await scene.said(3):
                assert (
                    not holds(said.content.removesuffix(FOOTER), ["i'm", "my", "the"])
                    or "nothing to say" in said.content
                )
        finally:
            await app.store.run(records.set_blocked_words, ada.id, [])


@pytest.mark.parametrize("nothing", ["nothing", "None"])
async def test_blocked_words_are_counted_not_told_and_lifted_only_by_a_word(
    app: App, settings: Settings, scene: Scene, nothing: str
) -> None:
    async with online(scene.server, LifeBot(app, settings)):
        told = [await _words_answer(scene, words) for words in ("sea", "", "sea, two words", " , ", "", nothing, "")]
    assert told == [
        "1 word is never said by @ada on Discord.",
        "1 word is never said by @ada on Discord. `words:nothing` lifts that.",
        "2 words are never said by @ada on Discord.",
        "',' has no words. Write them with commas between them.",
        "2 words are never said by @ada on Discord. `words:nothing` lifts that.",
        "No words are blocked for @ada.",
        "No words are blocked for @ada.",
    ]


async def _words_answer(scene: Scene, words: str) -> str:
    given = {"words": words} if words else {}
    what = scene.server.owner.runs(scene.channel, "persona words", handle="ada", **given)
    return (await asyncio.to_thread(scene.server.owner.is_answered, what)).content


async def test_who_lives_in_a_channel_answers_every_mention_there(app: App, settings: Settings, scene: Scene) -> None:
    thread = scene.server.thread(scene.channel, "nest")
    async with online(scene.server, LifeBot(app, settings)):
        refused = scene.ann.runs(scene.channel, "persona bind", handle="ada")
        shown = (await asyncio.to_thread(scene.ann.is_answered, refused)).content
        assert shown == "For that you need the permission to manage channels."
        owner = scene.server.owner
        await asyncio.to_thread(owner.is_answered, owner.runs(scene.channel, "persona bind", handle="@Ada"))
        scene.ann.types(scene.channel, "@Mynah good morning")
        scene.ann.types(thread, "@Mynah good morning")
        assert [said.author.name for said in await scene.said()] == ["ada (Mynah)"]
        assert [said.author.name for said in await scene.said(1, thread)] == ["ada (Mynah)"]
        scene.ann.types(scene.channel, "nothing for anybody")
        await asyncio.to_thread(owner.is_answered, owner.runs(scene.channel, "persona unbind"))
        scene.ann.types(scene.channel, "@Mynah anybody?")
        _, help = await scene.said(2)
        assert help.content.startswith("Nobody answers here")


async def test_it_chimes_in_where_an_administrator_wants_it(app: App, settings: Settings, scene: Scene) -> None:
    owner = scene.server.owner
    async with online(scene.server, LifeBot(app, settings)) as bot:

        async def does(command: str, **options: Any) -> str:
            return (await asyncio.to_thread(owner.is_answered, owner.runs(scene.channel, command, **options))).content

        assert "Nobody lives" in await does("persona chime", percent=50.0)
        await does("persona bind", handle="ada")
        assert "cannot be" in await does("persona chime", percent=80.0)
        assert await does("persona chime", percent=50.0) == "They answer 50% of what nobody asked them."
        assert "50% of what nobody asked it" in await does("persona here")
        for number in range(30):
            scene.ann.types(scene.channel, f"just talking {number}")
        (said,) = await scene.said()
        await settle()
        assert scene.ours() == [said]  # not again for some minutes
        assert said.author.name == "ada (Mynah)"
        assert await does("persona chime", percent=50.0, quiet="0-23:59") == (
            "They answer 50% of what nobody asked them, never from 00:00 to 23:59."
        )
        bot.talk.turns = Turns()
        for number in range(30):
            scene.ann.types(scene.channel, f"still talking {number}")
        await settle()
        assert scene.ours() == [said]
