"""A persona says something in a channel: how often it may, what it never says, and how it is delivered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.data_folder import DataFolder
from bot.errors import CommandError, GuardError, NotFound
from bot.gateways.discord.delivery import Delivery, Place, Speech
from bot.gateways.discord.turns import Turns
from bot.gateways.discord.webhooks import Webhooks
from bot.guard.unsaid import holds
from bot.posting.sender import Outcome
from bot.requests import SayRequest
from storage import discord as records
from storage import personas
from storage.errors import MynahError
from storage.personas import Persona

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

_TRIES_WHERE_WORDS_ARE_BLOCKED = 4
_AVATAR = "avatar.png"


class Talk:
    """What `MynahBot` has for everything that is said in a persona's voice."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._commands = bot.app.commands
        self._store = bot.app.store
        self.webhooks = Webhooks(bot, bot.app.store, self._picture)
        self.delivery = Delivery(bot.app.store, self.webhooks)
        self.turns = Turns()

    async def close(self) -> None:
        """Its connections."""
        await self.webhooks.close()

    async def say(
        self,
        place: Place,
        persona: Persona,
        nonce: str,
        *,
        prompt: str = "",
        context: Sequence[str] = (),
        answers: discord.Message | None = None,
    ) -> Outcome:
        """Say something new, and show typing meanwhile.

        Raises:
            CommandError: where so much was said there lately that it should stop for a while.
            MynahError: as `Commands.say`.
        """
        settings = self._bot.settings.speaking
        if not self.turns.take(place.id, settings):
            raise CommandError("A lot was said here lately.", "Ask again in a minute or two.")
        async with contextlib.AsyncExitStack() as stack:
            with contextlib.suppress(discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError):
                await stack.enter_async_context(place.typing())
            text = await self._text(persona, prompt, context)
        return await self.delivery.speak(place, Speech(persona, text, nonce, answers), settings)

    async def persona(self, handle: str) -> Persona:
        """Who has that handle. Raises NotFound."""
        found = await self._store.run(personas.find, handle)
        if found is None:
            raise NotFound(f"Nobody here is called @{handle[:64]}.", "See /models.")
        return found

    async def everybody(self) -> list[Persona]:
        """All personas that are known, by handle."""
        return await self._store.run(personas.known)

    async def _text(self, persona: Persona, prompt: str, context: Sequence[str]) -> str:
        blocked = await self._store.run(records.blocked_words, persona.id)
        count = _TRIES_WHERE_WORDS_ARE_BLOCKED if blocked else 1
        said = await self._commands.say(SayRequest(persona.handle, prompt, count, context=tuple(context)))
        for text in said.texts:
            if not holds(text, blocked):
                return text
        raise GuardError(f"@{persona.handle} had nothing to say that is allowed here.", "Ask something else.")

    async def _picture(self, persona: Persona) -> bytes | None:
        """Its round portrait, which is drawn with its card."""
        if persona.current_clone_id is None:
            return None
        drawn = DataFolder(self._bot.settings.data_dir).cards / persona.current_clone_id / _AVATAR
        try:
            if not await asyncio.to_thread(drawn.is_file):
                drawn = await self._commands.card(persona.handle) / _AVATAR
            return await asyncio.to_thread(drawn.read_bytes)
        except (MynahError, OSError):
            return None
