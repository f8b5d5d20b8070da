"""The messages of clones on Discord: sent once, edited by their ids, ended with buttons, blanked when a clone goes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.gateways.discord import clone_facts
from bot.gateways.discord.clone_page import PICTURE, ClonePage
from bot.gateways.discord.views import ready_view
from storage import discord as records
from storage.discord import ProgressMessage
from storage.errors import MynahError

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

log = logging.getLogger(__name__)

UNREACHABLE = (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, TimeoutError, OSError)
"""Whatever Discord, or the way to it, raises."""
_NO_PINGS = discord.AllowedMentions.none()


class CloneMessages:
    """Of one bot. Each method raises what is in `UNREACHABLE`, but for `blank`."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._store = bot.app.store

    async def send(self, clone_id: str, channel_id: int, embed: discord.Embed) -> discord.Message:
        """The first time; where an answer of Discord's was lost, it is the message of then."""
        # A ULID without its first character, which stays 0 for some millennia: a nonce has 25.
        said = await self._bot.get_partial_messageable(channel_id).send(
            embed=embed, nonce=clone_id[1:], allowed_mentions=_NO_PINGS
        )
        await self._store.run(records.progress_sent, clone_id, said.id)
        return said

    async def write(
        self,
        message: ProgressMessage,
        embed: discord.Embed,
        *,
        view: discord.ui.View | None = None,
        picture: Path | None = None,
    ) -> ProgressMessage:
        """Edit the message, or send it where that never happened; returns it as it is known now."""
        if message.message_id is None:
            sent = await self.send(message.clone_id, message.channel_id, embed)
            message = replace(message, message_id=sent.id)
            # Where an answer of Discord's was lost, this is the message of then, with its words of then.
            is_new = bool(sent.embeds) and sent.embeds[0].description == embed.description
            if is_new and view is None and picture is None:
                return message
        assert message.message_id is not None
        files = [] if picture is None else [await asyncio.to_thread(discord.File, picture, PICTURE)]
        partial = self._bot.get_partial_messageable(message.channel_id).get_partial_message(message.message_id)
        await partial.edit(embed=embed, view=view, attachments=files, allowed_mentions=_NO_PINGS)
        return message

    async def end(self, message: ProgressMessage) -> None:
        """Say how it ended; a persona that speaks shows its predictions and its buttons."""
        page = await self._store.run(clone_facts.load_page, message.clone_id)
        if page is None:  # deleted meanwhile; the sweep takes care of the message
            return
        speaks = page.clone.state == "ready" and page.clone.spoke_at is not None
        figures = await self._store.run(clone_facts.figures, message.clone_id) if page.clone.state == "ready" else []
        view = ready_view(page.clone.id) if speaks else None
        message = await self.write(message, page.embed(figures=figures), view=view)
        if speaks and (picture := await self._picture(page)) is not None:
            await self.write(message, page.embed(picture=True, figures=figures), view=view, picture=picture)
        await self._store.run(records.progress_told, message.clone_id)

    async def _picture(self, page: ClonePage) -> Path | None:
        """The predictions of a clone that speaks; None where none can be drawn."""
        try:
            folder = await self._bot.app.commands.card(page.handle)
        except MynahError as error:
            log.warning("Clone %s has no picture: %s", page.clone.id, error.message)
            return None
        picture = folder / PICTURE
        # The card is of the version that speaks now, which may be a newer one.
        is_there = folder.name == page.clone.id and await asyncio.to_thread(picture.is_file)
        return picture if is_there else None

    async def blank(self, message: ProgressMessage) -> None:
        """Have it show nothing of a clone that was deleted, and let it go."""
        try:
            if message.message_id is not None:
                channel = self._bot.get_partial_messageable(message.channel_id)
                embed = discord.Embed(description="This clone was deleted.", colour=discord.Colour.dark_grey())
                await channel.get_partial_message(message.message_id).edit(embed=embed, view=None, attachments=[])
        except (discord.NotFound, discord.Forbidden):
            pass
        except UNREACHABLE as error:
            log.warning("The message of a deleted clone could not be edited: %s.", type(error).__name__)
            return
        await self._store.run(records.forget_progress, message.clone_id)
