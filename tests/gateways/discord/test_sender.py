"""Posts of the outbox reach a channel of Discord once, and are found again where nobody knows whether they did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.app import App
from bot.gateways.discord.sender import DiscordSender
from bot.posting.sender import NotSent, Seen, Sent, Unclear
from bot.settings import Settings
from bot.settings.speaking import Speaking
from storage import discord as records
from storage import outbox, personas
from storage.outbox import Decided, OutboxPost
from tests.gateways.discord.conftest import LifeBot, Scene, online
from tests.servers.discord.faults import Fault
from tests.servers.discord.things import SEND_MESSAGES

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "The moon is a lighthouse that nobody keeps."
FOOTER = "\n-# a bot imitating @ada"


async def decided(app: App, target: str, text: str = TEXT) -> OutboxPost:
    """A row of the outbox."""
    ada = await app.store.run(personas.find, "ada")
    assert ada is not None
    now = datetime.now(UTC)
    post = Decided(ada.id, ada.current_clone_id, None, target, text, now, f"{target}@{now.isoformat()}")
    id = await app.store.run(outbox.decide, post)
    assert id is not None
    return await app.store.run(outbox.get, id)


def sender_of(bot: LifeBot) -> DiscordSender:
    sender = DiscordSender()
    sender.bot = bot
    return sender


async def test_a_post_is_said_in_the_persona_s_name(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        outcome = await sender_of(bot).send(await decided(app, f"discord:{scene.channel.id}"))
        (said,) = scene.ours()
        assert outcome == Sent(said.id)
        assert (said.content, said.author.name) == (TEXT + FOOTER, "ada (Mynah)")


async def test_a_post_goes_through_a_webhook_of_ours(app: App, settings: Settings, scene: Scene) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        sender = sender_of(bot)
        await sender.send(await decided(app, f"discord:{scene.channel.id}"))
        (said,) = scene.ours()
        assert said.webhook is not None
        again = await sender.send(await decided(app, f"webhook:{said.webhook.id}", "And again."))
        assert isinstance(again, Sent)
        assert [each.content for each in scene.ours()] == [TEXT + FOOTER, "And again." + FOOTER]
        scene.server.world.webhooks.clear()
        gone = await sender.send(await decided(app, f"webhook:{said.webhook.id}", "Once more."))
        assert isinstance(gone, NotSent) and gone.is_final
        assert await app.store.run(records.webhook_by_id, int(said.webhook.id)) is None


@pytest.mark.parametrize("target", ["discord:5", "discord:general", "webhook:5", "webhook:x"])
async def test_what_is_not_there_is_refused_for_good(app: App, settings: Settings, scene: Scene, target: str) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        outcome = await sender_of(bot).send(await decided(app, target))
        assert isinstance(outcome, NotSent) and outcome.is_final


async def test_without_a_connection_it_waits(app: App) -> None:
    assert await DiscordSender().send(await decided(app, "discord:5")) == NotSent("Discord is not connected.")


async def test_where_the_bot_may_not_write_nothing_is_tried_again(app: App, settings: Settings, scene: Scene) -> None:
    scene.channel.denied_to_bot = SEND_MESSAGES
    own = settings.model_copy(update={"speaking": Speaking(webhooks=False)})
    async with online(scene.server, LifeBot(app, own)) as bot:
        outcome = await sender_of(bot).send(await decided(app, f"discord:{scene.channel.id}"))
        assert isinstance(outcome, NotSent) and outcome.is_final


async def test_what_is_unsaid_since_it_was_decided_is_not_sent(app: App, settings: Settings, scene: Scene) -> None:
    post = await decided(app, f"discord:{scene.channel.id}")
    await app.store.run(records.set_blocked_words, post.persona_id, ["lighthouse"])
    try:
        async with online(scene.server, LifeBot(app, settings)) as bot:
            outcome = await sender_of(bot).send(post)
        assert isinstance(outcome, NotSent) and outcome.is_final and "never says on Discord" in outcome.reason
        assert scene.ours() == []
    finally:
        await app.store.run(records.set_blocked_words, post.persona_id, [])


@pytest.mark.parametrize("was_said", [True, False])
async def test_a_post_whose_answer_was_lost_is_looked_for(
    app: App, settings: Settings, scene: Scene, was_said: bool
) -> None:
    async with online(scene.server, LifeBot(app, settings)) as bot:
        sender, target = sender_of(bot), f"discord:{scene.channel.id}"
        assert await sender.newest(target) == "0"
        first = await sender.send(await decided(app, target, "The first."))
        assert isinstance(first, Sent)
        since = await sender.newest(target)
        assert since == first.platform_id
        post = replace(await decided(app, target), since_id=since)
        lost = Fault("POST", "/webhooks/", lose_answer=True) if was_said else Fault("POST", "/webhooks/", status=502)
        scene.server.break_with(lost)
        assert isinstance(await sender.send(post), Unclear)
        scene.ann.types(scene.channel, TEXT)
        found = await sender.find(post, frozenset())
        assert isinstance(found, Seen)
        said = [each.id for each in scene.ours() if TEXT in each.content]
        assert ([found.platform_id], len(said)) == ((said, 1) if was_said else ([None], 0))


async def test_the_same_post_by_the_bot_itself_is_the_same_message(app: App, settings: Settings, scene: Scene) -> None:
    own = settings.model_copy(update={"speaking": Speaking(webhooks=False)})
    async with online(scene.server, LifeBot(app, own)) as bot:
        post = await decided(app, f"discord:{scene.channel.id}")
        outcomes = [await sender_of(bot).send(post) for _ in range(3)]
        (said,) = scene.ours()
        assert outcomes == [Sent(said.id)] * 3
