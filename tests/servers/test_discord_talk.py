"""People and a bot talk on the local Discord: commands, buttons, forms, messages, files, webhooks."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import discord
import pytest
from discord import app_commands

from tests.servers.conftest import Place
from tests.servers.discord.things import MANAGE_WEBHOOKS, SEND_MESSAGES
from tests.servers.parrot import INTENTS, Panel, Parrot, running


async def channel_of(bot: Parrot, place: Place) -> discord.TextChannel:
    channel = bot.get_channel(int(place.channel.id))
    assert isinstance(channel, discord.TextChannel)
    return channel


async def test_a_bot_comes_online_and_knows_its_guilds(place: Place) -> None:
    async with running(place.server) as bot:
        assert bot.user is not None and bot.user.name == "Mynah"
        assert [guild.name for guild in bot.guilds] == ["Parrots"]
        assert [channel.name for channel in bot.guilds[0].text_channels] == ["general"]
        permissions = bot.guilds[0].me.guild_permissions
        assert permissions.manage_webhooks and not permissions.administrator
    await place.wait_for(lambda: not place.server.gateway.connected, "the bot to be offline")


async def test_commands_are_synced_and_only_those_can_be_run(place: Place) -> None:
    async with running(place.server) as bot:
        with pytest.raises(LookupError, match="no command 'repeat' here"):
            place.ann.runs(place.channel, "repeat", text="hi")
        synced = await bot.tree.sync()
        assert sorted(command.name for command in synced) == ["ask", "name_it", "repeat", "slowly", "weigh"]
        with pytest.raises(LookupError, match="needs"):
            place.ann.runs(place.channel, "repeat")
        with pytest.raises(LookupError, match="has no"):
            place.ann.runs(place.channel, "repeat", text="hi", loud=True)


async def test_commands_can_be_synced_to_one_guild(place: Place) -> None:
    other = place.server.channel(place.server.guild("Elsewhere"), "general")
    async with running(place.server) as bot:
        here = discord.Object(int(place.guild.id))
        bot.tree.copy_global_to(guild=here)
        await bot.tree.sync(guild=here)
        what = place.ann.runs(place.channel, "repeat", text="hi")
        assert (await asyncio.to_thread(place.ann.is_answered, what)).content == "hi"
        with pytest.raises(LookupError, match="no command"):
            place.ann.runs(other, "repeat", text="hi")


@pytest.mark.parametrize("secretly", [False, True])
async def test_a_deferred_command_shows_thinking_then_its_follow_ups(place: Place, secretly: bool) -> None:
    bea = place.server.person("bea", place.guild)
    async with running(place.server) as bot:
        await bot.tree.sync()
        what = place.ann.runs(place.channel, "slowly", secretly=secretly)
        await place.wait_for(lambda: len(what.answers) == 2, "both")
        assert place.ann.reads(place.channel) == ["thought", "and more"]
        assert bea.reads(place.channel) == ([] if secretly else ["thought", "and more"])
        assert what.response == 5


async def test_suggestions_depend_on_what_was_typed(place: Place) -> None:
    async with running(place.server) as bot:
        await bot.tree.sync()
        found = await asyncio.to_thread(place.ann.is_suggested, place.channel, "name_it", "persona", "an")
        assert [choice["value"] for choice in found] == ["ann", "anton"]
        what = place.ann.runs(place.channel, "name_it", persona="ann", member=place.ann)
        assert (await asyncio.to_thread(place.ann.is_answered, what)).content == "ann is ann"


async def test_buttons_answer_one_person_or_change_the_message(place: Place) -> None:
    bea = place.server.person("bea", place.guild)
    async with running(place.server) as bot:
        await bot.tree.sync()
        what = place.ann.runs(place.channel, "repeat", text="hi")
        shown = await asyncio.to_thread(place.ann.is_answered, what)
        more = place.ann.clicks(shown, "Say more")
        assert (await asyncio.to_thread(place.ann.is_answered, more)).content == "More!"
        assert bea.reads(place.channel) == ["hi"]
        await asyncio.to_thread(place.ann.is_answered, bea.clicks(shown, "change"))
        assert bea.reads(place.channel) == ["changed"]
        with pytest.raises(LookupError, match="no 'Delete' among"):
            bea.clicks(shown, "Delete")


async def test_a_form_is_shown_and_filled_in(place: Place) -> None:
    async with running(place.server) as bot:
        await bot.tree.sync()
        what = place.ann.runs(place.channel, "ask")
        assert (await asyncio.to_thread(place.ann.sees_modal, what))["title"] == "Questions"
        with pytest.raises(LookupError, match="must be filled in"):
            place.ann.submits(what)
        sent = place.ann.submits(what, name="Ann")
        assert (await asyncio.to_thread(place.ann.is_answered, sent)).content == "Hello Ann"


async def test_a_file_comes_up_with_a_command_until_its_address_expires(place: Place) -> None:
    async with running(place.server) as bot:
        await bot.tree.sync()
        what = place.ann.runs(place.channel, "weigh", file=("posts.zip", b"x" * 70_000))
        assert (await asyncio.to_thread(place.ann.is_answered, what)).content == "posts.zip: 70000 bytes"
        said = place.ann.types(place.channel, "look", files={"a.txt": b"abc"})
        (heard,) = await place.wait_for(lambda: [m for m in bot.heard if m.attachments], "the message")
        assert await heard.attachments[0].read() == b"abc"
        place.server.clock.advance(2 * 86_400)
        with pytest.raises(discord.NotFound):
            await heard.attachments[0].read()
        again = await (await channel_of(bot, place)).fetch_message(int(said.id))
        assert again.attachments[0].filename == "a.txt"


async def test_the_bot_sends_files_embeds_and_buttons(place: Place) -> None:
    async with running(place.server) as bot:
        file = discord.File(io.BytesIO(b"\x89PNG"), "predictions.png")
        embed = discord.Embed(title="Card", description="five samples").add_field(name="a", value="b")
        await (await channel_of(bot, place)).send("ready", embed=embed, file=file, view=Panel())
        (shown,) = place.ann.sees(place.channel)
        assert (shown.content, shown.embeds[0]["title"]) == ("ready", "Card")
        assert (shown.attachments[0].filename, shown.attachments[0].content) == ("predictions.png", b"\x89PNG")
        assert [part["label"] for part in shown.components[0]["components"]] == ["Say more", "Change"]


async def test_messages_replies_mentions_and_direct_messages_are_heard(place: Place) -> None:
    async with running(place.server) as bot:
        said = await (await channel_of(bot, place)).send("hello")
        place.ann.types(place.channel, "@Mynah you there?", reply_to=place.channel.messages[str(said.id)])
        place.ann.types(place.ann.dm(), "psst")
        await place.wait_for(lambda: len(bot.heard) == 3, "all three")
        own, reply, direct = bot.heard
        assert own.id == said.id
        assert reply.reference is not None and reply.reference.message_id == said.id
        assert bot.user in reply.mentions
        assert isinstance(direct.channel, discord.DMChannel) and direct.content == "psst"
        await reply.reply("yes")
        await direct.channel.send("psst yourself")
        assert place.ann.reads(place.channel)[-1] == "yes"
        assert place.ann.reads(place.ann.dm()) == ["psst", "psst yourself"]


async def test_edits_by_people_and_members_that_are_asked_for_arrive(place: Place) -> None:
    async with running(place.server) as bot:
        said = place.ann.types(place.channel, "hullo")
        seen = asyncio.create_task(bot.wait_for("raw_message_edit"))
        await place.wait_for(lambda: bot.heard, "the message")
        place.ann.edits(said, "hello")
        assert (await asyncio.wait_for(seen, 10)).message.content == "hello"
        found = await bot.guilds[0].query_members("an")
        assert [member.name for member in found] == ["ann"]


async def test_without_the_intent_only_what_is_meant_for_the_bot_has_content(place: Place) -> None:
    place.server.world.privileged = 0
    intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
    async with running(place.server, Parrot(intents=intents)) as bot:
        said = place.ann.types(place.channel, "nothing to you")
        place.ann.types(place.channel, "@Mynah to you")
        await place.wait_for(lambda: len(bot.heard) == 2, "both")
        assert [message.clean_content for message in bot.heard] == ["", "@Mynah to you"]
        assert (await (await channel_of(bot, place)).fetch_message(int(said.id))).content == ""
    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with running(place.server, Parrot(intents=INTENTS)):
            pass


async def test_a_persona_speaks_through_a_webhook_and_in_threads(place: Place) -> None:
    thread = place.server.thread(place.channel, "nest")
    async with running(place.server) as bot:
        hook = await (await channel_of(bot, place)).create_webhook(name="Mynah speaks")
        said = await hook.send("squawk", username="Ann (Mynah)", wait=True)
        await hook.send("below", username="Ann (Mynah)", thread=discord.Object(int(thread.id)), wait=True)
        await said.edit(content="squawk!")
        (shown,) = place.ann.sees(place.channel)
        assert (shown.author.name, shown.content, shown.earlier) == ("Ann (Mynah)", "squawk!", ["squawk"])
        assert place.ann.reads(thread) == ["below"]
        heard = await place.wait_for(lambda: [m for m in bot.heard if m.webhook_id], "the webhook's own message")
        assert heard[0].webhook_id == hook.id
        with pytest.raises(discord.HTTPException, match="discord"):
            await hook.send("no", username="My Discord friend", wait=True)
        await hook.delete()
        with pytest.raises(discord.NotFound):
            await hook.send("gone", wait=True)


async def test_a_message_is_edited_by_its_id_after_a_restart(place: Place) -> None:
    async with running(place.server) as bot:
        said = await (await channel_of(bot, place)).send("10%", view=Panel())
    async with running(place.server) as bot:
        await bot.get_partial_messageable(int(place.channel.id)).get_partial_message(said.id).edit(content="ready")
        (shown,) = place.ann.sees(place.channel)
        assert (shown.content, shown.earlier) == ("ready", ["10%"])
        more = place.ann.clicks(shown, "Say more")
        assert (await asyncio.to_thread(place.ann.is_answered, more)).content == "More!"


async def test_what_is_gone_or_forbidden_is_refused_by_its_code(place: Place) -> None:
    async with running(place.server) as bot:
        channel = await channel_of(bot, place)
        said = await channel.send("hello")
        await said.delete()
        with pytest.raises(discord.NotFound) as gone:
            await channel.get_partial_message(said.id).edit(content="again")
        place.channel.denied_to_bot = SEND_MESSAGES | MANAGE_WEBHOOKS
        with pytest.raises(discord.Forbidden) as silent:
            await channel.send("hello")
        with pytest.raises(discord.Forbidden):
            await channel.create_webhook(name="x")
        place.ann.user.takes_dms = False
        with pytest.raises(discord.Forbidden) as private:
            await (await bot.create_dm(discord.Object(int(place.ann.id)))).send("hello")
        place.server.world.remove_channel(place.channel)
        with pytest.raises(discord.NotFound) as away:
            await channel.send("hello")
        assert [no.value.code for no in (gone, silent, private, away)] == [10008, 50013, 50007, 10003]
        await place.wait_for(lambda: bot.get_channel(channel.id) is None, "the bot to know")


@pytest.mark.parametrize(
    ("content", "embeds"),
    [
        ("x" * 2_001, []),
        ("", [discord.Embed(description="x" * 4_097)]),
        ("", [discord.Embed(description="x" * 3_001), discord.Embed(description="x" * 3_000)]),
        ("", [discord.Embed(title="x" * 257)]),
    ],
)
async def test_too_much_for_one_message_is_refused(place: Place, content: str, embeds: list[discord.Embed]) -> None:
    async with running(place.server) as bot:
        with pytest.raises(discord.HTTPException, match="50035"):
            await (await channel_of(bot, place)).send(content, embeds=embeds)
        assert place.ann.sees(place.channel) == []


async def test_files_over_ten_mebibytes_and_empty_messages_are_refused(place: Place) -> None:
    async with running(place.server) as bot:
        channel = await channel_of(bot, place)
        with pytest.raises(discord.HTTPException) as large:
            await channel.send(file=discord.File(io.BytesIO(b"x" * (10 * 1024 * 1024 + 1)), "x.bin"))
        with pytest.raises(discord.HTTPException) as empty:
            await channel.send("  ")
        assert (large.value.status, large.value.code) == (413, 40005)
        assert empty.value.code == 50006


async def test_commands_that_discord_would_refuse_are_refused(place: Place) -> None:
    async with running(place.server) as bot:
        long: app_commands.Command[Any, ..., None] = app_commands.Command(name="long", description="d", callback=_long)
        bot.tree.add_command(long)
        with pytest.raises(discord.HTTPException, match="8000"):
            await bot.tree.sync()


CHOICES = [app_commands.Choice(name=f"{n}" * 45, value=f"{n}" * 49) for n in range(10, 35)]


@app_commands.choices(one=CHOICES, two=CHOICES)
async def _long(interaction: discord.Interaction[discord.Client], one: str, two: str) -> None:
    """Its choices hold too many characters together."""
