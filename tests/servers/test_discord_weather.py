"""What goes wrong at Discord's side, and what an unmodified discord.py makes of it (DISCORD.md, sections 5 to 7)."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
import zlib

import aiohttp
import discord
import pytest
import yarl

from tests.servers.conftest import Place
from tests.servers.discord.faults import Fault
from tests.servers.discord.ratelimits import Rule, TooMany
from tests.servers.discord.server import LocalDiscord
from tests.servers.discord.world import Event
from tests.servers.parrot import Parrot, ShardedParrot, running

SENDING = "/channels/{channel_id}/messages"


def channel_of(bot: Parrot, place: Place) -> discord.PartialMessageable:
    return bot.get_partial_messageable(int(place.channel.id))


# --- the gateway


@pytest.mark.parametrize("how", ["cut", "1001", "4000", "4008", "reconnect", "resumable"])
async def test_a_dropped_session_is_resumed_and_nothing_is_missed(place: Place, how: str) -> None:
    gateway = place.server.gateway
    async with running(place.server) as bot:
        place.ann.types(place.channel, "before")
        await place.wait_for(lambda: bot.heard, "the first message")
        if how == "cut":
            gateway.cut()
        elif how == "reconnect":
            gateway.ask_reconnect()
        elif how == "resumable":
            gateway.invalidate(resumable=True)
        else:
            gateway.close(int(how))
        await place.wait_for(lambda: not gateway.connected, "the session to be without a connection")
        place.ann.types(place.channel, "meanwhile")
        await asyncio.wait_for(bot.resumed.wait(), 20)
        await place.wait_for(lambda: len(bot.heard) == 2, "both messages")
        assert [message.content for message in bot.heard] == ["before", "meanwhile"]
        assert (gateway.seen["identify"], gateway.seen["resume"]) == (1, 1)


async def test_an_invalid_session_is_identified_anew(place: Place) -> None:
    gateway = place.server.gateway
    async with running(place.server) as bot:
        gateway.invalidate()
        await place.wait_for(lambda: gateway.seen["identify"] == 2 and gateway.connected, "a new session")
        place.ann.types(place.channel, "hello")
        await place.wait_for(lambda: bot.heard, "the message")


@pytest.mark.parametrize("code", [4007, 4009])
async def test_after_these_codes_a_resume_is_refused(place: Place, code: int) -> None:
    gateway = place.server.gateway
    async with running(place.server) as bot:
        gateway.close(code)
        await place.wait_for(lambda: gateway.seen["identify"] == 2 and gateway.connected, "a new session")
        assert gateway.seen["resume"] == 1
        assert not bot.resumed.is_set()


async def test_a_resume_can_be_refused_by_the_test(place: Place) -> None:
    gateway = place.server.gateway
    async with running(place.server):
        gateway.refuse_resumes()
        gateway.cut()
        await place.wait_for(lambda: gateway.seen["identify"] == 2 and gateway.connected, "a new session")


async def test_heartbeats_are_asked_for_sent_and_acknowledged(place: Place) -> None:
    gateway = place.server.gateway
    gateway.heartbeat_s = 0.5
    async with running(place.server) as bot:
        await place.wait_for(lambda: gateway.seen["heartbeat"] >= 3, "heartbeats")
        assert bot.latency < 1
        before = gateway.seen["heartbeat"]
        gateway.heartbeat_s = 40
        gateway.ask_heartbeat()
        await place.wait_for(lambda: gateway.seen["heartbeat"] > before, "one more")


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"not zlib", zlib.error),
        ({"op": 0, "t": "MESSAGE_CREATE", "s": 9, "d": {"id": "1"}}, KeyError),
    ],
)
async def test_a_malformed_frame_ends_the_client(
    place: Place, frame: dict[str, object] | bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        async with running(place.server) as bot:
            assert bot.living
            place.server.gateway.send_raw(frame)
            await asyncio.wait([bot.living], timeout=10)


async def test_unknown_events_are_passed_over(place: Place) -> None:
    async with running(place.server) as bot:
        place.server.gateway.tell(Event("NEST_BUILT", {"twigs": 3}))
        place.ann.types(place.channel, "hello")
        await place.wait_for(lambda: bot.heard, "the message")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("no json", 4002),
        (json.dumps({"op": 2, "d": {"token": "wrong", "intents": 1}}), 4004),
        (json.dumps({"op": 3, "d": None}), 4003),
        (json.dumps({"op": 2, "d": {"token": "local-bot-token", "intents": 1 << 27}}), 4013),
        (json.dumps({"op": 2, "d": {"token": "local-bot-token", "intents": 1 << 8}}), 4014),
        (json.dumps({"op": 1, "d": "x" * 4_096}), 4002),
    ],
)
async def test_what_a_client_must_not_send_closes_the_connection(place: Place, sent: str, code: int) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(place.server.gateway_url) as socket:
        assert (await socket.receive_json())["op"] == 10
        await socket.send_str(sent)
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == code


async def test_a_flood_of_frames_and_a_second_identify_are_cut_off(place: Place) -> None:
    identify = {"op": 2, "d": {"token": place.server.token, "intents": 1}}
    async with aiohttp.ClientSession() as session, session.ws_connect(place.server.gateway_url) as socket:
        for _ in range(2):
            await socket.send_json(identify)
        while (frame := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert frame.data == 4005
    async with aiohttp.ClientSession() as session, session.ws_connect(place.server.gateway_url) as socket:
        for _ in range(121):
            await socket.send_json({"op": 1, "d": None})
        while (frame := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert frame.data == 4008


async def test_a_sharded_client_asks_for_its_gateway_first(place: Place) -> None:
    async with running(place.server, ShardedParrot()) as bot:
        assert place.server.asked("GET", "/gateway/bot")
        assert [guild.name for guild in bot.guilds] == ["Parrots"]
        place.server.gateway.cut()
        await asyncio.wait_for(bot.resumed.wait(), 20)


# --- the REST side


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


# --- interactions and their clocks


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


async def test_the_port_is_free_again_afterwards() -> None:
    with LocalDiscord() as server:
        port = yarl.URL(server.api_url).port
        async with running(server):
            pass
    with LocalDiscord(port or 0):
        pass
