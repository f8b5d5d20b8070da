"""A clone's life in one message of ours: queued, collecting, training, and how it ended.

Its ids are in the database before anything else happens to it, and it is edited with the bot's own token, so that
neither the fifteen minutes of an interaction nor a restart of the bot ends it. Edits are coalesced: Discord takes one
every few seconds, and of a message older than an hour far fewer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import discord
from discord.ext import commands

from bot.cloning import Update
from bot.commands import Submitted
from bot.errors import place_of
from bot.gateways.discord import clone_facts
from bot.gateways.discord.clone_messages import UNREACHABLE, CloneMessages
from bot.gateways.discord.clone_page import ClonePage
from bot.gateways.discord.views import CloneButton
from storage import discord as records
from storage.discord import ProgressMessage
from storage.errors import MynahError
from trainer.protocol import Step

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

log = logging.getLogger(__name__)

_GONE = (10003, 10004, 10008, 50001)
"""Channel, guild or message unknown; or the bot may not see the channel any more."""
_HOUR_S = 3_600.0
_SETTLED = 0.1
"""From this share of its steps on, what a training says of its end holds."""
_NO_PINGS = discord.AllowedMentions.none()


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two edits of a message, and between two tries where Discord cannot be reached."""

    young_s: float = 6.0
    old_s: float = 30.0
    retry_s: float = 15.0
    sweep_s: float = 60.0
    """How often messages of clones that were deleted are looked for."""


@dataclass(slots=True)
class _Telling:
    """A clone's message while it has more to say."""

    page: ClonePage
    changed: asyncio.Event
    ended: asyncio.Event
    shown: dict[str, Any] | None = None
    """The embed that is on Discord."""


Asked = commands.Context[Any] | discord.Interaction[Any]
"""Whom to answer: a command, or a form that was filled in."""


class Progress(commands.Cog):
    """The messages of all clones that were asked for on Discord."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._app = bot.app
        self._store = bot.app.store
        self._pace = bot.pace
        self._messages = CloneMessages(bot)
        self._tellings: dict[str, _Telling] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._step: Step | None = None
        """How far the training under way is, whoever asked for it; None until that tells how long it takes."""

    async def cog_load(self) -> None:
        """Take up the messages of before, and listen."""
        self._bot.add_dynamic_items(CloneButton)
        listening = asyncio.Event()
        self._start(self._listen(listening))
        await listening.wait()
        taken_up: list[_Telling] = []
        for message in await self._store.run(records.untold_progress):
            page = await self._store.run(clone_facts.load_page, message.clone_id)
            if page is not None:
                taken_up.append(self._hold(page))
        await self._place_in_line([telling.page for telling in taken_up if telling.page.clone.state == "queued"])
        for telling in taken_up:
            self._start(self._tell(telling))
        self._start(self._sweep())

    async def cog_unload(self) -> None:
        """What was not said yet is in the database, and said by the next bot."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def begin(self, ctx: Asked, submitted: Submitted) -> None:
        """Answer a command or a form that put a clone in line: the channel gets the message that tells its life."""
        clone_id, interaction = submitted.clone.id, _interaction(ctx)
        channel_id = ctx.channel.id if ctx.channel is not None else 0
        await self._store.run(records.begin_progress, clone_id, channel_id)
        page = await self._store.run(clone_facts.load_page, clone_id)
        if page is None:
            return
        telling = self._hold(page)
        await self._place_in_line([page])
        try:
            await self._messages.send(clone_id, channel_id, page.embed())
            telling.shown = dict(page.embed().to_dict())
        except discord.Forbidden:
            self._tellings.pop(clone_id, None)
            await self._store.run(records.forget_progress, clone_id)
            await _acknowledge(
                ctx, f"@{page.handle} is in line. The bot may not write in this channel: `/train status` tells more."
            )
            return
        except UNREACHABLE as error:  # the row is there: it is sent with the next change
            log.warning("The message of clone %s could not be sent: %s.", clone_id, type(error).__name__)
        self._start(self._tell(telling))
        if interaction is not None:
            await _acknowledge(ctx, f"@{page.handle} is in line; the message here tells how it goes.")

    @commands.Cog.listener()
    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        await self._store.run(records.forget_channel, channel.id)

    @commands.Cog.listener()
    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        await self._store.run(records.forget_channel, payload.thread_id)

    # --- listening

    async def _listen(self, listening: asyncio.Event) -> None:
        async with self._app.cloning.listen() as updates:
            listening.set()
            while True:
                await self._hear(await updates.get())

    async def _hear(self, update: Update) -> None:
        telling = self._tellings.get(update.clone.id)
        if telling is not None:
            telling.page.hear(update)
            telling.changed.set()
            if telling.page.has_ended:
                telling.ended.set()
        if isinstance(update.event, Step) and update.event.step >= _SETTLED * update.event.of:
            self._step = update.event
        elif update.event is None and update.clone.state == "collecting":
            self._step = None
        waiting = [other for other in self._tellings.values() if other.page.clone.state == "queued"]
        if update.event is not None:  # while the line has not moved, only who could be told nothing
            waiting = [other for other in waiting if self._step is not None and other.page.begins_at is None]
        await self._place_in_line([other.page for other in waiting])
        for other in waiting:
            other.changed.set()

    async def _place_in_line(self, pages: list[ClonePage]) -> None:
        if pages:
            line = await self._store.run(clone_facts.line)
            for page in pages:
                line.put(page, None if self._step is None else self._step.eta_s)

    def _hold(self, page: ClonePage) -> _Telling:
        """From now on the page hears what happens."""
        telling = self._tellings[page.clone.id] = _Telling(page, asyncio.Event(), asyncio.Event())
        return telling

    # --- telling

    async def _tell(self, telling: _Telling) -> None:
        """Edit the message whenever its page has changed, as often as Discord likes it; back when all is said."""
        clone_id = telling.page.clone.id
        try:
            await self._catch_up(telling)
            while True:
                message = await self._store.run(records.progress, clone_id)
                if message is None or await self._bring_up_to_date(message, telling):
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(telling.ended.wait(), self._pause_s(message))
                await telling.changed.wait()
                telling.changed.clear()
        except MynahError as error:
            log.warning("The message of clone %s is given up: %s", clone_id, error.message)
        finally:
            self._tellings.pop(clone_id, None)

    async def _catch_up(self, telling: _Telling) -> None:
        """What happened after its page was read from the database and before it was held."""
        fresh = await self._store.run(clone_facts.load_page, telling.page.clone.id)
        if fresh is not None and fresh.clone.state_since > telling.page.clone.state_since:
            telling.page.clone = fresh.clone
        if telling.page.has_ended:
            telling.ended.set()

    def _pause_s(self, message: ProgressMessage) -> float:
        age_s = (datetime.now(UTC) - message.created_at).total_seconds()
        return self._pace.young_s if age_s < _HOUR_S else self._pace.old_s

    async def _bring_up_to_date(self, message: ProgressMessage, telling: _Telling) -> bool:
        """Whether there is nothing more to say."""
        page = telling.page
        try:
            if page.has_ended:
                await self._messages.end(message)
                return True
            embed = page.embed()
            shown = dict(embed.to_dict())
            if shown != telling.shown:
                await self._messages.write(message, embed)
                telling.shown = shown
        except UNREACHABLE as error:
            if isinstance(error, discord.HTTPException) and 400 <= error.status < 500 and error.status != 429:
                if error.code not in _GONE:
                    log.warning("The message of clone %s was refused: %s.", message.clone_id, error.code)
                await self._store.run(records.forget_progress, message.clone_id)
                return True
            log.warning("The message of clone %s could not be edited: %s.", message.clone_id, type(error).__name__)
            telling.changed.set()
            await asyncio.sleep(self._pace.retry_s)
        return False

    async def clear_away(self) -> None:
        """Where a clone was deleted, its message shows nothing of it any more."""
        for message in await self._store.run(records.orphaned_progress):
            await self._messages.blank(message)

    async def _sweep(self) -> None:
        """Now and then, for clones that were deleted elsewhere."""
        while True:
            await self.clear_away()
            await asyncio.sleep(self._pace.sweep_s)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work, name="discord progress")
        self._tasks.add(task)
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("Telling of clones met %s at %s.", type(error).__name__, place_of(error))


def _interaction(ctx: Asked) -> discord.Interaction[Any] | None:
    return ctx if isinstance(ctx, discord.Interaction) else ctx.interaction


async def _acknowledge(ctx: Asked, text: str) -> None:
    """To the one who gave a command alone, as far as it can be; what was deferred is edited, which may be repeated."""
    try:
        interaction = _interaction(ctx)
        if interaction is not None and interaction.response.is_done():
            await interaction.edit_original_response(content=text, allowed_mentions=_NO_PINGS)
        elif not isinstance(ctx, discord.Interaction):
            await ctx.send(text, ephemeral=True, allowed_mentions=_NO_PINGS)
    except UNREACHABLE as error:  # it was obeyed all the same
        log.warning("A command was not answered: %s.", type(error).__name__)
