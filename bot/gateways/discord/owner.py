"""What the owner should know, in the channel that they named."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import discord
from discord.ext import commands

from bot.gateways.discord.lengths import cut

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
        """All at once; they count as seen when Discord has them."""
        settings = self._bot.settings.discord
        unseen = await self._notices.unseen()
        if not settings.owner_channel or not unseen:
            return
        greeting = f"<@{settings.owner}> " if settings.owner else ""
        lines = "\n".join(f"{notice.message} {notice.hint}".strip() for notice in unseen)
        owner = discord.AllowedMentions(users=[discord.Object(int(settings.owner))]) if settings.owner else None
        try:
            channel = self._bot.get_partial_messageable(int(settings.owner_channel))
            await channel.send(cut(greeting + lines, 2_000), allowed_mentions=owner or discord.AllowedMentions.none())
        except discord.HTTPException as error:
            log.warning("The owner's channel did not take a notice: %s, code %s.", error.status, error.code)
            return
        await self._notices.mark_seen()
