"""The clocks of interactions, pushed ahead by the test (DISCORD.md, section 3)."""

from __future__ import annotations

import asyncio

import aiohttp
import discord
import pytest

from tests.servers.conftest import Place
from tests.servers.discord.faults import Fault
from tests.servers.parrot import Parrot, running


def channel_of(bot: Parrot, place: Place) -> discord.PartialMessageable:
    return bot.get_partial_messageable(int(place.channel.id))


async def test_a_command_must_be_answered_within_three_seconds(place: Place) -> None:
    async with running(place.server) as bot:
        await bot.tree.sync()
        failed: asyncio.Queue[Exception] = asyncio.Queue()

        async def keep(interaction: discord.Interaction[Parrot], error: Exception) -> None:
            await failed.put(error)

        bot.tree.error(keep)
        place.server.break_with(Fault("POST", "/callback", delay_s=0.2))
        what = place.ann.runs(place.channel, "repeat", text="hello")
        place.server.clock.advance(3.5)
        error = (await asyncio.wait_for(failed.get(), 10)).__cause__
        assert isinstance(error, discord.NotFound) and error.code == 10062
        assert (what.refused, what.answers) == ([10062], [])


async def test_a_token_expires_after_fifteen_minutes_but_the_message_can_be_edited_by_the_bot(place: Place) -> None:
    async with running(place.server) as bot:
        interaction = await take_one(bot, place)
        await interaction.response.send_message("10%")
        await interaction.edit_original_response(content="20%")
        with pytest.raises(discord.InteractionResponded):
            await interaction.response.send_message("twice")
        place.server.clock.advance(901)
        for late in (interaction.edit_original_response(content="30%"), interaction.followup.send("late")):
            with pytest.raises(discord.HTTPException) as expired:
                await late
            assert (expired.value.status, expired.value.code) == (401, 50027)
        (shown,) = place.ann.sees(place.channel)
        await channel_of(bot, place).get_partial_message(int(shown.id)).edit(content="ready")
        assert place.ann.reads(place.channel) == ["ready"]


async def test_what_only_one_person_sees_is_out_of_the_bots_reach(place: Place) -> None:
    async with running(place.server) as bot:
        interaction = await take_one(bot, place)
        await interaction.response.send_message("for you", ephemeral=True)
        (shown,) = place.ann.sees(place.channel)
        with pytest.raises(discord.NotFound) as hidden:
            await channel_of(bot, place).get_partial_message(int(shown.id)).edit(content="x")
        assert hidden.value.code == 10008


async def test_a_second_answer_is_refused(place: Place) -> None:
    async with running(place.server) as bot:
        interaction = await take_one(bot, place)
        await interaction.response.defer()
        address = f"{place.server.api_url}/interactions/{interaction.id}/{interaction.token}/callback"
        async with aiohttp.ClientSession() as session, session.post(address, json={"type": 5}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, 40060)


async def take_one(bot: Parrot, place: Place) -> discord.Interaction[discord.Client]:
    """An interaction as the bot gets it, with nothing answered yet."""
    taken: asyncio.Queue[discord.Interaction[discord.Client]] = asyncio.Queue()

    @discord.app_commands.command(description="Kept for the test")
    async def keep(interaction: discord.Interaction[discord.Client]) -> None:
        await taken.put(interaction)

    bot.tree.add_command(keep)
    await bot.tree.sync()
    place.ann.runs(place.channel, "keep")
    return await asyncio.wait_for(taken.get(), 10)
