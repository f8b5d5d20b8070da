"""How much a person, and a server, may ask for: what has the voice or a trainer work, and clones within a day.

The bot's owner may ask for as much as they like.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import discord

from bot.errors import CommandError
from bot.settings.discord import Discord
from storage import discord_commands

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

DAY = timedelta(days=1)
_MINUTE_S = 60.0
_KEPT = 10_000


class Cooldowns:
    """Counted in memory: a restart forgets them, and nobody minds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._people: dict[int, float] = {}
        self._servers: dict[int, deque[float]] = {}

    def take(self, person_id: int, server_id: int | None, settings: Discord) -> float:
        """Seconds until they may ask; 0 where they may now, and then it counts as asked."""
        now = self._clock()
        wait_s = self._people.get(person_id, -math.inf) + settings.user_seconds - now
        taken = deque[float]() if server_id is None else self._servers.pop(server_id, deque())
        while taken and now - taken[0] >= _MINUTE_S:
            taken.popleft()
        if server_id is not None and len(taken) >= settings.server_uses_a_minute:
            wait_s = max(wait_s, taken[0] + _MINUTE_S - now)
        if wait_s <= 0:
            taken.append(now)
            self._people.pop(person_id, None)  # whoever asked last stands last
            self._people[person_id] = now
        if server_id is not None:
            self._servers[server_id] = taken
        for known in (self._people, self._servers):
            if len(known) > _KEPT:
                del known[next(iter(known))]
        return max(0.0, wait_s)


class Quotas:
    """Of one bot."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._cooldowns = Cooldowns()

    def refuse_hasty(self, who: discord.abc.User, server_id: int | None) -> None:
        """Where somebody, or their server, has the bot work too often; else it counts. Raises CommandError."""
        settings = self._bot.settings.discord
        if str(who.id) == settings.owner:
            return
        wait_s = self._cooldowns.take(who.id, server_id, settings)
        if wait_s:
            raise CommandError("A little slower, please.", f"Again in {math.ceil(wait_s)} s.")

    async def refuse_beyond(self, who: discord.abc.User, server_id: int | None) -> None:
        """Where they, or their server, have asked for their clones of a day. Raises CommandError."""
        settings, since = self._bot.settings.discord, datetime.now(UTC) - DAY
        if str(who.id) == settings.owner:
            return
        store = self._bot.app.store
        theirs = await store.run(discord_commands.asked_since, since, by=f"discord:{who.id}")
        if theirs >= settings.clones_a_day:
            raise CommandError(f"You asked for {theirs} clones within a day.", "Ask again tomorrow.")
        if server_id is not None:
            here = await store.run(discord_commands.asked_since, since, within=str(server_id))
            if here >= settings.server_clones_a_day:
                raise CommandError(f"This server asked for {here} clones within a day.", "Ask again tomorrow.")
