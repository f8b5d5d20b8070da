"""How often somebody, and a server, may have the bot work."""

from __future__ import annotations

import pytest

from bot.gateways.discord.quotas import Cooldowns
from bot.settings.discord import Discord
from tests.gateways.discord.test_turns import Watch


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        ([(0, 1, 7), (1, 1, 7), (4, 1, 7)], [0, 3, 0]),
        ([(0, 1, 7), (0, 2, 7), (5, 3, 7), (60, 3, 7)], [0, 0, 55, 0]),
        ([(0, 1, 7), (0, 2, 7), (1, 3, 8), (1, 4, None)], [0, 0, 0, 0]),
        ([(0, 1, 7), (2, 1, 8), (4, 1, None)], [0, 2, 0]),
    ],
    ids=["a person waits", "a server waits", "other servers do not", "a person waits everywhere"],
)
def test_who_asks_too_often_waits(asked: list[tuple[float, int, int | None]], waits: list[float]) -> None:
    watch = Watch()
    cooldowns, settings = Cooldowns(watch), Discord(user_seconds=4, server_uses_a_minute=2)
    told = []
    for moment, person, server in asked:
        watch.now_s = moment
        told.append(cooldowns.take(person, server, settings))
    assert told == waits
