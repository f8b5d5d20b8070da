"""What the owner should know, in the channel that they named."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import discord
from discord.ext import commands

from bot.gateways.discord.clone_messages import UNREACHABLE
from bot.gateways.discord.lengths import MESSAGE, cut

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

log = logging.getLogger(__name__)


class OwnerCog(commands.Cog, name="Owner"):
    """Notices go to `discord.owner_channel`; those that nobody saw before too."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._notices = bot.app.commands.notices
        self._telling: asyncio.Task[None] | None = None

    async def cog_load(self) -> None:
        self._telling = asyncio.create_task(self._tell(), name="notices")

    async def cog_unload(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        await self._bot.wait_until_ready()
        async with self._notices.listen() as heard:
            while True:
                await self._send_unseen()
                await heard.get()

    async def _send_unseen(self) -> None:
        """A message each, which counts as seen when Discord has it; its nonce is the same after a restart."""
        settings = self._bot.settings.discord
        if not settings.owner_channel:
            return
        greeting = f"<@{settings.owner}> " if settings.owner else ""
        pinged = discord.AllowedMentions.none()
        if settings.owner:
            pinged = discord.AllowedMentions(users=[discord.Object(int(settings.owner))])
        channel = self._bot.get_partial_messageable(int(settings.owner_channel))
        for notice in await self._notices.unseen():
            text = cut(f"{greeting}{notice.message} {notice.hint}".strip(), MESSAGE)
            try:
                await channel.send(text, nonce=f"n{notice.id}", allowed_mentions=pinged)
            except UNREACHABLE as error:
                log.warning("The owner's channel did not take a notice: %s.", type(error).__name__)
                return
            await self._notices.mark_seen(notice.id)
