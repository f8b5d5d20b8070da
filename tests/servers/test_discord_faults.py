"""Rate limits, errors and cuts, and what an unmodified discord.py makes of them (DISCORD.md, section 7)."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.request

import aiohttp
import discord
import pytest

from tests.servers.conftest import Place
from tests.servers.discord.faults import Fault
from tests.servers.discord.ratelimits import Rule, TooMany
from tests.servers.discord.server import LocalDiscord
from tests.servers.parrot import Parrot, running

SENDING = "/channels/{channel_id}/messages"


def channel_of(bot: Parrot, place: Place) -> discord.PartialMessageable:
    return bot.get_partial_messageable(int(place.channel.id))


async def test_a_full_bucket_makes_the_client_wait(place: Place) -> None:
    place.server.limits.rules[("POST", SENDING)] = Rule(2, 1.0)
    async with running(place.server) as bot:
        begun_s = time.monotonic()
        for number in range(5):
            await channel_of(bot, place).send(str(number))
        assert time.monotonic() - begun_s > 1.5
        assert place.ann.reads(place.channel) == ["0", "1", "2", "3", "4"]
        assert place.server.invalid_requests == []


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
async def test_a_429_is_obeyed_and_the_message_said_once(place: Place, scope: str) -> None:
    fault = place.server.break_with(Fault("POST", "/messages", too_many=TooMany(0.4, scope)))
    async with running(place.server) as bot:
        begun_s = time.monotonic()
        await channel_of(bot, place).send("hello")
        assert time.monotonic() - begun_s > 0.4
        assert fault.met.is_set()
        assert [request.status for request in place.server.asked("POST", "/messages")] == [429, 200]
        assert place.ann.reads(place.channel) == ["hello"]


async def test_the_global_limit_holds_for_everything(place: Place) -> None:
    place.server.limits.overall = Rule(3, 0.5)
    async with running(place.server) as bot:
        await asyncio.gather(*(bot.fetch_user(int(place.ann.id)) for _ in range(6)))
        assert 429 in [request.status for request in place.server.asked("GET", "/users/")]


async def test_a_429_without_via_is_taken_for_a_ban(place: Place) -> None:
    place.server.break_with(Fault("POST", "/messages", too_many=TooMany(0.1, via=False)))
    async with running(place.server) as bot:
        with pytest.raises(discord.HTTPException) as no:
            await channel_of(bot, place).send("hello")
        assert no.value.status == 429


async def test_edits_of_old_messages_are_few(place: Place) -> None:
    async with running(place.server) as bot:
        said = await channel_of(bot, place).send("10%")
        place.server.clock.advance(3_700)
        for percent in range(20, 60, 10):
            await said.edit(content=f"{percent}%")
        refused = [request.code for request in place.server.asked("PATCH", "/messages/") if request.status == 429]
        assert refused and set(refused) == {30046}
        assert place.ann.reads(place.channel) == ["50%"]


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_5xx_is_repeated_and_the_nonce_keeps_it_to_one_message(place: Place, status: int) -> None:
    place.server.break_with(Fault("POST", "/messages", status=status, done_first=True))
    async with running(place.server) as bot:
        said = await channel_of(bot, place).send("hello")
        assert [request.status for request in place.server.asked("POST", "/messages")] == [status, 200]
        assert place.ann.reads(place.channel) == ["hello"]
        assert str(said.id) in place.channel.messages


async def test_a_503_is_not_repeated(place: Place) -> None:
    place.server.break_with(Fault("POST", "/messages", status=503))
    async with running(place.server) as bot:
        with pytest.raises(discord.DiscordServerError):
            await channel_of(bot, place).send("hello")
        assert place.ann.sees(place.channel) == []


async def test_a_webhook_is_repeated_blindly_and_speaks_twice(place: Place) -> None:
    async with running(place.server) as bot:
        channel = bot.get_channel(int(place.channel.id))
        assert isinstance(channel, discord.TextChannel)
        hook = await channel.create_webhook(name="Ann")
        place.server.break_with(Fault("POST", "/webhooks/", status=503, done_first=True))
        await hook.send("squawk", wait=True)
        assert place.ann.reads(place.channel) == ["squawk", "squawk"]


async def test_a_nonce_is_good_for_five_minutes(place: Place) -> None:
    async with running(place.server) as bot:
        first = await channel_of(bot, place).send("hello", nonce="outbox-1")
        again = await channel_of(bot, place).send("hello", nonce="outbox-1")
        assert (again.id, again.nonce) == (first.id, "outbox-1")
        place.server.clock.advance(301)
        later = await channel_of(bot, place).send("hello", nonce="outbox-1")
        assert later.id != first.id
        assert place.ann.reads(place.channel) == ["hello", "hello"]


async def test_a_cut_connection_is_an_error_and_not_repeated(place: Place) -> None:
    place.server.break_with(Fault("POST", "/messages", cut=True))
    async with running(place.server) as bot:
        with pytest.raises(aiohttp.ClientError):
            await channel_of(bot, place).send("hello")
        assert place.ann.sees(place.channel) == []


async def test_after_a_lost_answer_the_history_tells(place: Place) -> None:
    place.server.break_with(Fault("POST", "/messages", lose_answer=True))
    async with running(place.server) as bot:
        since = discord.Object(discord.utils.time_snowflake(discord.utils.utcnow()))
        with pytest.raises(aiohttp.ClientError):
            await channel_of(bot, place).send("hello")
        found = [message.content async for message in channel_of(bot, place).history(after=since)]
        assert found == ["hello"]


async def test_an_answer_that_is_no_json_is_an_error(place: Place) -> None:
    place.server.break_with(Fault("POST", "/messages", garbage=True))
    async with running(place.server) as bot:
        with pytest.raises((TypeError, ValueError)):
            await channel_of(bot, place).send("hello")


async def test_a_stalled_answer_ends_with_the_server() -> None:
    with LocalDiscord() as server:
        fault = server.break_with(Fault("GET", "/gateway", stall=True))
        asking = threading.Thread(target=_ask, args=(server.api_url + "/gateway",))
        asking.start()
        await asyncio.to_thread(fault.met.wait, 10)
        assert asking.is_alive()
    await asyncio.to_thread(asking.join)


def _ask(address: str) -> None:
    with pytest.raises(OSError):
        urllib.request.urlopen(address, timeout=30)


async def test_a_refused_token_is_a_login_failure(place: Place) -> None:
    place.server.world.token = "another"
    with pytest.raises(discord.LoginFailure):
        async with running(place.server, token="local-bot-token"):
            pass
