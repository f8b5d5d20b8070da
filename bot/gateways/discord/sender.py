"""The outbox's way to Discord: `discord:CHANNEL`, in the persona's name where it can be, and `webhook:ID`.

A post that may have been said is looked for among the newest messages of the channel, and not said again by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.gateways.discord.delivery import Place, Speech, footer, without_footer
from bot.guard.rules import SENTENCES
from bot.guard.unsaid import holds
from bot.posting.sender import NotSent, Outcome, Seen
from storage import discord as records
from storage import personas
from storage.errors import StorageError
from storage.outbox import OutboxPost
from storage.personas import Persona

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

_LOOKED_THROUGH = 100
_WRITABLE = (discord.TextChannel, discord.VoiceChannel, discord.StageChannel, discord.Thread, discord.DMChannel)
_UNREACHABLE = (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, TimeoutError, OSError)


class DiscordSender:
    """One for the whole life of the process; `bot` is whoever is connected now, if anybody."""

    def __init__(self) -> None:
        self.bot: MynahBot | None = None

    async def send(self, post: OutboxPost) -> Outcome:
        """Try once."""
        bot = self.bot
        if bot is None or bot.is_closed():
            return NotSent("Discord is not connected.")
        try:
            persona = await bot.app.store.run(personas.get, post.persona_id)
            unsaid = await bot.app.store.run(records.blocked_words, persona.id)
        except StorageError as error:
            return NotSent(error.message, is_final=True)
        if holds(post.text, unsaid):  # they may be unsaid only since the guard let the post through
            return NotSent(SENTENCES["unsaid word"], is_final=True)
        kind, _, number = post.target.partition(":")
        if kind == "webhook":
            return await _by_webhook(bot, persona, post.text, number)
        place = await _place(bot, number)
        if isinstance(place, NotSent):
            return place
        # The end of a ULID, by which no other post of these days goes; a nonce has 25 characters.
        return await bot.talk.delivery.speak(place, Speech(persona, post.text, post.id[4:]), bot.settings.speaking)

    async def newest(self, target: str) -> str | NotSent:
        """The newest message of the channel."""
        place = await self._looked_at(target)
        if isinstance(place, NotSent):
            return place
        try:
            async for message in place.history(limit=1):
                return str(message.id)
        except _UNREACHABLE as error:
            return NotSent(f"The channel could not be read ({type(error).__name__}).")
        return "0"

    async def find(self, post: OutboxPost, taken: frozenset[str]) -> Seen | NotSent:
        """Look for a post by its text, among ours; those `taken` are other ones."""
        place = await self._looked_at(post.target)
        if isinstance(place, NotSent):
            return place
        newest: str | None = None
        try:
            async for message in _since(place, post.since_id):
                newest = str(message.id)
                if newest not in taken and await self._says(message, post.text):
                    return Seen(newest, newest)
        except _UNREACHABLE as error:
            return NotSent(f"The channel could not be read ({type(error).__name__}).")
        return Seen(None, newest)

    async def _looked_at(self, target: str) -> Place | NotSent:
        bot = self.bot
        if bot is None or bot.is_closed():
            return NotSent("Discord is not connected.")
        kind, _, number = target.partition(":")
        if kind == "webhook":
            key = await bot.app.store.run(records.webhook_by_id, int(number)) if number.isdecimal() else None
            if key is None:
                return NotSent("There is no such webhook of ours.")
            number = str(key.channel_id)
        return await _place(bot, number)

    async def _says(self, message: discord.Message, text: str) -> bool:
        """Whether a message of ours says this; Discord may have trimmed it."""
        bot = self.bot
        assert bot is not None
        said = message.content
        if message.webhook_id is not None:
            key = await bot.app.store.run(records.webhook_by_id, message.webhook_id)
            if key is None:
                return False
            if not said:  # what a bot is not shown without the intent, its webhook is
                said = await bot.talk.webhooks.read(key, message.id) or ""
        elif bot.user is None or message.author.id != bot.user.id:
            return False
        first = without_footer(said).strip()
        return bool(first) and " ".join(text.split()).startswith(" ".join(first.split()).rstrip("…"))


async def _by_webhook(bot: MynahBot, persona: Persona, text: str, number: str) -> Outcome:
    gone = NotSent("There is no such webhook of ours.", "Schedule to discord:CHANNEL instead.", is_final=True)
    key = await bot.app.store.run(records.webhook_by_id, int(number)) if number.isdecimal() else None
    if key is None:
        return gone
    outcome = await bot.talk.webhooks.execute(key, text + footer(persona))
    if isinstance(outcome, NotSent) and await bot.app.store.run(records.webhook_by_id, key.webhook_id) is None:
        return gone
    return outcome


async def _place(bot: MynahBot, number: str) -> Place | NotSent:
    """A channel by its id, as the gateway told of it, or as Discord tells when asked."""
    if not number.isdecimal():
        return NotSent(f"{number[:40]!r} is no channel.", is_final=True)
    channel = bot.get_channel(int(number))
    try:
        found = channel if channel is not None else await bot.fetch_channel(int(number))
    except (discord.NotFound, discord.Forbidden):
        return NotSent("The channel is gone, or the bot may not see it.", is_final=True)
    except (discord.InvalidData, *_UNREACHABLE):
        return NotSent("Discord cannot be reached.")
    if isinstance(found, _WRITABLE):
        return found
    return NotSent("Nothing can be written in that channel.", is_final=True)


async def _since(place: Place, since_id: str | None) -> AsyncIterator[discord.Message]:
    after = discord.Object(int(since_id)) if since_id and since_id.isdecimal() else None
    async for message in place.history(limit=_LOOKED_THROUGH, after=after, oldest_first=True):
        yield message
