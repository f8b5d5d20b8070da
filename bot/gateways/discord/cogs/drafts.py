"""Drafts on Discord: each has a message in `discord.drafts_channel`; who may schedule decides, there or by command."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from bot.gateways.discord import hybrid
from bot.gateways.discord.cogs.choices import personas_here
from bot.gateways.discord.draft_views import DraftButton, draft_embed, draft_view
from bot.gateways.discord.errors import acknowledge, answer
from bot.gateways.discord.lengths import listed
from bot.gateways.discord.permissions import allowed
from bot.posting.outbox import Entry
from storage import drafts, personas
from storage.drafts import DraftMessage
from storage.errors import MynahError
from storage.outbox import OutboxPost

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

log = logging.getLogger(__name__)

_UNREACHABLE = (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, TimeoutError, OSError)
_NO_PINGS = discord.AllowedMentions.none()
_LOOK_EVERY_S = 5.0
_WHICH = "its id, as /drafts list shows it"


class DraftsCog(commands.Cog, name="Drafts"):
    """Shows what waits for approval, and takes a person's word."""

    def __init__(self, bot: MynahBot, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._bot = bot
        self._store = bot.app.store
        self._drafts = bot.app.commands.drafts
        self._look_every_s = look_every_s
        self._task: asyncio.Task[None] | None = None

    async def cog_load(self) -> None:
        """From here on, buttons of before answer too."""
        self._bot.add_dynamic_items(DraftButton)
        self._task = asyncio.create_task(self._keep_up(), name="drafts")

    async def cog_unload(self) -> None:
        """What was not shown yet is shown by the next bot."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @hybrid.group("drafts", "What waits for approval", fallback="list")
    @allowed("schedule")
    async def drafts(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        waiting = await self._drafts.waiting()
        lines = [f"`{one.post.short_id}` @{one.handle}: {one.post.text}" for one in waiting]
        await answer(ctx, listed(lines) or "No drafts are waiting.")

    @hybrid.subcommand(drafts, "approve", "Have a draft posted when it is due; `all` approves every one")
    @app_commands.describe(draft=f"{_WHICH}; or all")
    @allowed("schedule")
    async def approve(self, ctx: commands.Context[Any], draft: str) -> None:
        await acknowledge(ctx)
        by = f"discord:{ctx.author.id}"
        done = await self._drafts.approve_all(by) if draft == "all" else [await self._drafts.approve(draft, by)]
        await answer(ctx, f"Approved: {len(done)}.")

    @hybrid.subcommand(drafts, "edit", "Approve a draft in your own words")
    @app_commands.describe(draft=_WHICH, text="what is posted in its place")
    @allowed("schedule")
    async def edit(self, ctx: commands.Context[Any], draft: str, *, text: str) -> None:
        await acknowledge(ctx)
        await answer(ctx, f"It will be posted: {(await self._drafts.edit(draft, text, _by(ctx))).post.text}")

    @hybrid.subcommand(drafts, "reroll", "Have another text written for a draft")
    @app_commands.describe(draft=_WHICH)
    @allowed("schedule")
    async def reroll(self, ctx: commands.Context[Any], draft: str) -> None:
        await acknowledge(ctx)
        self._bot.quotas.refuse_hasty(ctx.author, hybrid.guild_id(ctx))
        entry = await self._drafts.reroll(draft, _by(ctx))
        await self._renew(entry)
        await answer(ctx, f"Instead: {entry.post.text}")

    @hybrid.subcommand(drafts, "reject", "Have a draft never posted")
    @app_commands.describe(draft=_WHICH, reason="why, for those who look later")
    @allowed("schedule")
    async def reject(self, ctx: commands.Context[Any], draft: str, *, reason: str = "") -> None:
        await acknowledge(ctx)
        await self._drafts.reject(draft, reason, _by(ctx))
        await answer(ctx, "Rejected.")

    @hybrid.command("approval", "Who looks at a persona's posts before they leave")
    @app_commands.describe(
        user="whose posts",
        mode="auto: nobody; review: somebody approves each; review-first-n: only the first of them",
        first="how many that is with review-first-n",
    )
    @app_commands.autocomplete(user=personas_here)
    @allowed("schedule")
    async def approval(
        self,
        ctx: commands.Context[Any],
        user: str,
        mode: Literal["auto", "review", "review-first-n"],
        first: commands.Range[int, 1, 10_000] = 10,
    ) -> None:
        await acknowledge(ctx)
        found = await self._drafts.set_mode(user, mode, first)
        await answer(ctx, f"@{found.handle}: {found.approval.mode}, {found.approved} approved so far.")

    async def _keep_up(self) -> None:
        """Show new drafts, and what became of those that are shown, wherever it was decided."""
        await self._bot.wait_until_ready()
        while True:
            try:
                await self._show_new()
                await self._show_decided()
            except _UNREACHABLE as error:
                log.warning("Drafts cannot be shown: %s.", type(error).__name__)
            except MynahError as error:
                log.error("Drafts cannot be shown: %s", error)
            await asyncio.sleep(self._look_every_s)

    async def _show_new(self) -> None:
        channel = self._bot.settings.discord.drafts_channel
        for post in await self._store.run(drafts.unshown) if channel else []:
            where = self._bot.get_partial_messageable(int(channel))
            sent = await where.send(
                embed=draft_embed(await self._entry(post)),
                view=draft_view(post),
                nonce=post.id[1:],  # 25 signs at most; where the bot ended before it noted this, it is not said twice
                allowed_mentions=_NO_PINGS,
            )
            await self._store.run(drafts.record_message, DraftMessage(post.id, channel, str(sent.id)))

    async def _show_decided(self) -> None:
        for message, post in await self._store.run(drafts.decided_messages):
            await self._edit(message, await self._entry(post))
            await self._store.run(drafts.forget_message, post.id)

    async def _renew(self, entry: Entry) -> None:
        message = await self._store.run(drafts.message_of, entry.post.id)
        if message is not None:
            await self._edit(message, entry)

    async def _edit(self, message: DraftMessage, entry: Entry) -> None:
        view = draft_view(entry.post) if entry.post.state == "draft" else None
        shown = self._bot.get_partial_messageable(int(message.channel_id)).get_partial_message(int(message.message_id))
        try:
            await shown.edit(embed=draft_embed(entry), view=view)
        except (discord.NotFound, discord.Forbidden):  # somebody deleted it, or the bot may not go there any more
            log.info("A draft's message is gone.")

    async def _entry(self, post: OutboxPost) -> Entry:
        return Entry(post, (await self._store.run(personas.get, post.persona_id)).handle)


def _by(ctx: commands.Context[Any]) -> str:
    return f"discord:{ctx.author.id}"
