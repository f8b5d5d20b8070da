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


class Window:
    """How often something was done lately, by id. In memory: a restart forgets it, and nobody minds."""

    def __init__(self, length_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._length_s = length_s
        self._clock = clock
        self._done: dict[int, deque[float]] = {}

    def wait_s(self, id: int, most: int) -> float:
        """Until it may be done again, where `most` times are allowed; 0 where it may be done now."""
        now, done = self._clock(), self._done.get(id, deque())
        while done and now - done[0] >= self._length_s:
            done.popleft()
        if len(done) < most:
            return 0.0
        return self._length_s if not done else done[0] + self._length_s - now

    def add(self, id: int) -> None:
        """It is done now."""
        done = self._done.pop(id, deque())  # whoever did it last stands last
        done.append(self._clock())
        self._done[id] = done
        if len(self._done) > _KEPT:
            del self._done[next(iter(self._done))]


class Cooldowns:
    """Between two things that one person asks for, and for all that a server does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._people: dict[int, float] = {}
        self._servers = Window(_MINUTE_S, clock)

    def take(self, person_id: int, server_id: int | None, settings: Discord) -> float:
        """Seconds until they may ask; 0 where they may now, and then it counts as asked."""
        now = self._clock()
        wait_s = self._people.get(person_id, -math.inf) + settings.user_seconds - now
        if server_id is not None:
            wait_s = max(wait_s, self._servers.wait_s(server_id, settings.server_uses_a_minute))
        if wait_s > 0:
            return wait_s
        if server_id is not None:
            self._servers.add(server_id)
        self._people.pop(person_id, None)
        self._people[person_id] = now
        if len(self._people) > _KEPT:
            del self._people[next(iter(self._people))]
        return 0.0


class Quotas:
    """Of one bot."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._cooldowns = Cooldowns()
        self._priced = Window(DAY.total_seconds())

    def refuse_hasty(self, who: discord.abc.User, server_id: int | None) -> None:
        """Where somebody, or their server, has the bot work too often; else it counts. Raises CommandError."""
        settings = self._bot.settings.discord
        if str(who.id) == settings.owner:
            return
        wait_s = self._cooldowns.take(who.id, server_id, settings)
        if wait_s:
            raise CommandError("A little slower, please.", f"Again in {math.ceil(wait_s)} s.")

    def refuse_curious(self, who: discord.abc.User) -> None:
        """X charges the owner for every price that is asked: so many a day as clones. Raises CommandError."""
        settings = self._bot.settings.discord
        if str(who.id) == settings.owner:
            return
        if self._priced.wait_s(who.id, settings.clones_a_day):
            raise CommandError(f"You asked for that {settings.clones_a_day} times within a day.", "Ask again tomorrow.")
        self._priced.add(who.id)

    async def refuse_beyond(self, who: discord.abc.User, server_id: int | None) -> None:
        """Where they, or their server, have asked for their clones of a day. Raises CommandError."""
        settings, since = self._bot.settings.discord, datetime.now(UTC) - DAY
        if str(who.id) == settings.owner:
            return
        store = self._bot.app.store
        theirs = await store.run(discord_commands.asked_since, since, by=f"discord:{who.id}")
        if theirs >= settings.clones_a_day:
            raise CommandError(f"You asked for {theirs} clone{'s' * (theirs > 1)} within a day.", "Ask again tomorrow.")
        if server_id is not None:
            here = await store.run(discord_commands.asked_since, since, within=str(server_id))
            if here >= settings.server_clones_a_day:
                raise CommandError(
                    f"This server asked for {here} clone{'s' * (here > 1)} within a day.", "Ask again tomorrow."
                )
