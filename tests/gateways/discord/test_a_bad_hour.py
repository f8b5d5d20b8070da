"""A bad hour: the gateway drops the bot again and again, the API errs, an event cannot be parsed. No command is lost,
none is answered twice, nothing is said twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.bundled import bundled_handle
from tests.gateways.discord.test_process import someone, started
from tests.running import Home
from tests.servers.discord.faults import Fault
from tests.servers.discord.ratelimits import TooMany
from tests.servers.discord.server import LocalDiscord

DROPS = 20
_BACK_WITHIN_S = 60.0


@pytest.fixture
def hour() -> LocalDiscord:
    return LocalDiscord()


def drops(server: LocalDiscord) -> list[Callable[[], None]]:
    """How a connection ends, the ways taken in turn; a new session costs the client five seconds, so it comes once."""
    ways = [server.gateway.cut, server.gateway.ask_reconnect, lambda: server.gateway.close(4000)]
    return [ways[number % len(ways)] for number in range(DROPS - 1)] + [server.gateway.invalidate]


@pytest.mark.timeout(400)
def test_a_bad_hour(home: Home, hour: LocalDiscord) -> None:
    with hour as server:
        ann, channel = someone(server)
        with started(home, server) as bot:
            server.wait_for(lambda: server.gateway.connected, "the bot to be online", _BACK_WITHIN_S)
            asked = [ann.runs(channel, "models")]
            ann.is_answered(asked[0], _BACK_WITHIN_S)  # now it knows its session, and can resume it
            for number, drop in enumerate(drops(server)):
                drop()
                if number == DROPS - 1:  # what is asked while there is no session reaches no bot
                    server.wait_for(lambda: server.gateway.seen["identify"] > 1, "a new session", _BACK_WITHIN_S)
                asked.append(ann.runs(channel, "models"))
                if number % 5 == 0:
                    server.break_with(Fault("POST", "/callback", too_many=TooMany(0.2, "user")))
                if number % 7 == 0:
                    server.break_with(Fault("PATCH", "/messages/@original", status=502, done_first=True))
                ann.is_answered(asked[-1], _BACK_WITHIN_S)
                server.clock.advance(180)
            server.gateway.cut()
            ann.runs(channel, "models")
            server.clock.advance(1_000)
            server.wait_for(
                lambda: [said for said in ann.sees(channel) if ann.mention in said.content],
                "an answer in the channel to the command that expired",
                _BACK_WITHIN_S,
            )
            server.gateway.send_raw({"op": 0, "t": "MESSAGE_CREATE", "s": 10**6, "d": {"id": "not a message"}})
            server.wait_for(lambda: not server.gateway.connected, "the bot to fall over it", _BACK_WITHIN_S)
            server.wait_for(lambda: server.gateway.connected, "the bot to be back", _BACK_WITHIN_S)
            asked.append(ann.runs(channel, "models"))
            for what in asked:
                assert bundled_handle() in ann.is_answered(what, _BACK_WITHIN_S).content
            answers = [said for said in ann.sees(channel) if said.interaction is not None]
            assert len(answers) == len(asked)
            assert bot.poll() is None
