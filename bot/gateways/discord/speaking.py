"""People talk to a persona: by a mention of the bot and its name, by a reply to it, or where it lives.

What was written around the message is heard for the length of an answer and kept nowhere: no text of a channel reaches
the database, the disk or the log. Bots and webhooks are not heard at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
import discord
from discord.ext import commands

from bot.gateways.discord.delivery import without_footer
from bot.gateways.discord.errors import public
from bot.gateways.discord.lengths import cut
from bot.gateways.discord.turns import is_quiet
from bot.posting.sender import NotSent
from storage import discord as records
from storage import personas
from storage.discord import Binding
from storage.errors import MynahError
from storage.personas import Persona

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

log = logging.getLogger(__name__)

_TYPES = (discord.MessageType.default, discord.MessageType.reply)
_ANSWERED_KEPT = 2_000
_LONGEST_HEARD = 400
"""Characters of one message; the voice hears a few hundred tokens."""
_SWEEP_S = 300.0
_HELP = (
    "Nobody answers here unless you name them: mention me and then a handle, or reply to what a persona said. "
    "`/models` lists who is here, `/clone` makes one, `/help` tells the rest."
)


@dataclass(frozen=True, slots=True)
class _Turn:
    """Who answers, what it was asked, and whether anybody asked at all."""

    persona: Persona
    asked: str
    unasked: bool = False


class SpeakingCog(commands.Cog, name="Speaking"):
    """Personas answer."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._store = bot.app.store
        self._answered: OrderedDict[int, None] = OrderedDict()
        self._sweeping: asyncio.Task[None] | None = None

    async def cog_load(self) -> None:
        self._sweeping = asyncio.create_task(self._sweep(), name="discord webhooks")

    async def cog_unload(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._bot.talk.close()

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        if message.author.bot or message.webhook_id is not None or message.type not in _TYPES:
            return
        if not self._is_new(message) or (await self._bot.get_context(message)).valid:
            return
        turn = await self._turn(message)
        if turn is None:
            if self._is_spoken_to(message) and self._bot.talk.turns.may_help(message.channel.id):
                await self._explain(message, _HELP)
            return
        try:
            outcome = await self._bot.talk.say(
                message.channel,
                turn.persona,
                f"r{message.id}",
                context=[*await self._heard_before(message), *([turn.asked] if turn.asked else [])],
                answers=None if turn.unasked else message,
            )
        except MynahError as error:
            if not turn.unasked:
                await self._explain(message, public(error))
            return
        if isinstance(outcome, NotSent):
            log.warning("A persona could not speak in channel %s: %s", message.channel.id, outcome.reason)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        await self._store.run(records.forget_guild, guild.id)

    def _is_new(self, message: discord.Message) -> bool:
        """A gateway that resumes may tell of a message twice."""
        if message.id in self._answered:
            return False
        self._answered[message.id] = None
        if len(self._answered) > _ANSWERED_KEPT:
            self._answered.popitem(last=False)
        return True

    # --- who is meant

    async def _turn(self, message: discord.Message) -> _Turn | None:
        speaker = await self._replied_to(message)
        if speaker is not None:
            return _Turn(await self._store.run(personas.get, speaker), self._words(message))
        mentioned = self._bot.user is not None and self._bot.user.mentioned_in(message) and not message.mention_everyone
        if mentioned or message.guild is None:
            return await self._named(message) or await self._living_here(message)
        return await self._chiming_in(message)

    async def _replied_to(self, message: discord.Message) -> str | None:
        """The id of the persona whose message this answers."""
        reference = message.reference
        if reference is None or reference.message_id is None:
            return None
        if isinstance(reference.resolved, discord.Message) and reference.resolved.webhook_id is not None:
            key = await self._store.run(records.webhook_by_id, reference.resolved.webhook_id)
            if key is not None:
                return key.persona_id
        return await self._store.run(records.speaker_of, reference.message_id)

    async def _named(self, message: discord.Message) -> _Turn | None:
        """By its handle, at the beginning: `@Mynah @ada do you like the sea?`"""
        first, _, rest = self._words(message).partition(" ")
        handle = first.removeprefix("@").rstrip(",:;!?").lower()
        known = {persona.handle: persona for persona in await self._store.run(personas.all)}
        if handle not in known or known[handle].current_clone_id is None:
            return None
        return _Turn(known[handle], rest.strip())

    async def _living_here(self, message: discord.Message) -> _Turn | None:
        binding = await self._binding(message)
        if binding is None:
            return None
        return _Turn(await self._store.run(personas.get, binding.persona_id), self._words(message))

    async def _chiming_in(self, message: discord.Message) -> _Turn | None:
        """Only where an administrator has opted in, not in quiet hours, and not often."""
        binding = await self._binding(message)
        if binding is None or not binding.chime_chance or not message.content.strip():
            return None
        settings = self._bot.settings
        if is_quiet(binding.quiet_from, binding.quiet_until, datetime.now(UTC).astimezone(settings.zone)):
            return None
        if random.random() >= binding.chime_chance:
            return None
        if not self._bot.talk.turns.may_chime(message.channel.id, settings.speaking):
            return None
        return _Turn(await self._store.run(personas.get, binding.persona_id), self._words(message), unasked=True)

    async def _binding(self, message: discord.Message) -> Binding | None:
        """Of the channel, or of the one that a thread hangs on."""
        found = await self._store.run(records.binding, message.channel.id)
        if found is None and isinstance(message.channel, discord.Thread):
            found = await self._store.run(records.binding, message.channel.parent_id)
        return found

    # --- what is heard

    def _words(self, message: discord.Message) -> str:
        """What was written, without the mention of the bot."""
        ours = self._bot.user.id if self._bot.user is not None else 0
        text = message.content.replace(f"<@{ours}>", " ").replace(f"<@!{ours}>", " ")
        return cut(" ".join(text.split()), _LONGEST_HEARD)

    async def _heard_before(self, message: discord.Message) -> list[str]:
        """The messages before, oldest first, as far as the bot may read them."""
        limit = self._bot.settings.speaking.context_messages
        heard: list[str] = []
        if limit:
            with contextlib.suppress(discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError):
                async for earlier in message.channel.history(limit=limit, before=message):
                    heard.append(cut(" ".join(without_footer(earlier.clean_content).split()), _LONGEST_HEARD))
        return [text for text in reversed(heard) if text]

    def _is_spoken_to(self, message: discord.Message) -> bool:
        """In direct messages, and by a mention that somebody wrote: a reply to what the bot said needs no answer."""
        return message.guild is None or (self._bot.user is not None and f"<@{self._bot.user.id}>" in message.content)

    async def _explain(self, message: discord.Message, text: str) -> None:
        with contextlib.suppress(discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError):
            await message.channel.send(
                cut(text, 1_000),
                nonce=f"e{message.id}",
                reference=message.to_reference(fail_if_not_exists=False),
                mention_author=False,
                allowed_mentions=discord.AllowedMentions.none(),
            )

    async def _sweep(self) -> None:
        """Webhooks of personas that were deleted go from Discord, too."""
        while True:
            await self._bot.talk.webhooks.clear_away()
            await asyncio.sleep(_SWEEP_S)
