"""How the local Discord's gateway drops, resumes and refuses an unmodified discord.py (DISCORD.md, section 5)."""

from __future__ import annotations

import asyncio
import json
import zlib

import aiohttp
import discord
import pytest
import yarl

from tests.servers.conftest import Place
from tests.servers.discord.server import LocalDiscord
from tests.servers.discord.world import Event
from tests.servers.parrot import Parrot, ShardedParrot, running


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
        # On a quick machine it is back before anybody can look.
        await place.wait_for(
            lambda: not gateway.connected or gateway.seen["resume"], "the session to be without a connection"
        )
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
        (b"not zlib\x00\x00\xff\xff", zlib.error),
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


async def test_identifying_too_often_is_an_invalid_session(place: Place) -> None:
    place.server.gateway.identify_every_s = 5.0
    identify = {"op": 2, "d": {"token": place.server.token, "intents": 1}}
    answers = []
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.ws_connect(place.server.gateway_url) as socket:
                await socket.receive_json()
                await socket.send_json(identify)
                answers.append((await socket.receive_json())["op"])
    assert answers == [0, 9]


async def test_a_message_goes_to_those_who_asked_for_its_kind(place: Place) -> None:
    bot = Parrot(intents=discord.Intents(guilds=True, dm_messages=True))
    async with running(place.server, bot):
        place.ann.types(place.channel, "in the guild")
        place.ann.types(place.ann.dm(), "alone")
        await place.wait_for(lambda: bot.heard, "the message")
        assert [message.content for message in bot.heard] == ["alone"]


async def test_a_sharded_client_asks_for_its_gateway_first(place: Place) -> None:
    async with running(place.server, ShardedParrot()) as bot:
        assert place.server.asked("GET", "/gateway/bot")
        assert [guild.name for guild in bot.guilds] == ["Parrots"]
        place.server.gateway.cut()
        await asyncio.wait_for(bot.resumed.wait(), 20)


async def test_the_port_is_free_again_afterwards() -> None:
    with LocalDiscord() as server:
        port = yarl.URL(server.api_url).port
        async with running(server):
            pass
    with LocalDiscord(port or 0):
        pass
