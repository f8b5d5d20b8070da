"""`/admin`: what stops the bot's posting, what it has done, and its settings read anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord.ext import commands

from bot.gateways.discord import hybrid
from bot.gateways.discord.errors import acknowledge, answer
from bot.gateways.discord.permissions import allowed

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot


class AdminCog(commands.Cog, name="Admin"):
    """For the owner, and whom `discord.may_administrate` names."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._admin = bot.app.commands.admin

    @hybrid.group("admin", "Where the bot stands", fallback="stats")
    @allowed("administrate")
    async def admin(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        stats = await self._admin.stats()
        lines = [
            f"{stats.personas} personas, {stats.clones} clones, {stats.in_line} of them waiting or learning.",
            "Posts: " + (", ".join(f"{count} {state}" for state, count in stats.posts.items()) or "none") + ".",
            *(f"Stopped: {stop.name}." for stop in stats.stops),
            f"{len(self._bot.guilds)} servers, {self._bot.latency * 1000:.0f} ms to Discord.",
        ]
        await answer(ctx, "\n".join(lines))

    @hybrid.subcommand(admin, "pause", "Stop all posting, until /admin resume, also after a restart")
    @allowed("administrate")
    async def pause(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        stopped = await self._admin.pause(f"discord:{ctx.author.id}")
        await answer(ctx, "Nothing is posted until /admin resume." if stopped else "Posting is stopped already.")

    @hybrid.subcommand(admin, "resume", "Go on posting")
    @allowed("administrate")
    async def resume(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        lifted = await self._admin.resume()
        await answer(ctx, "Posting goes on." if lifted else "Nothing was stopped.")

    @hybrid.subcommand(admin, "reload", "Read config.toml anew")
    @allowed("administrate")
    async def reload(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        await answer(ctx, await self._bot.app.reload())
