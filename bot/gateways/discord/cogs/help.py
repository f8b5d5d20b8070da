"""`/help`: what can be asked for, in one short message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord.ext import commands

from bot.gateways.discord import hybrid
from bot.gateways.discord.errors import answer

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

_FIRST = ("say", "models", "clone", "privacy", "optout", "help")
"""What the message tells of itself."""


class HelpCog(commands.Cog, name="Help"):
    """For everybody."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot

    @hybrid.command("help", "What can be asked for")
    async def help(self, ctx: commands.Context[Any]) -> None:
        others = ", ".join(
            f"`/{command.name}`"
            for command in sorted(self._bot.commands, key=lambda command: command.name)
            if command.name not in _FIRST and not command.hidden
        )
        await answer(
            ctx,
            "`/models` shows who is here, `/say` has one of them say something, and `/clone` makes a voice from a file "
            "of posts. To talk to a persona, mention me and then its handle, or reply to what it said. "
            f"Also: {others}. `/privacy` tells what is kept of you; after `/optout` nobody can clone you here.\n"
            f"Without slash: {self._typed(ctx)}.",
        )

    def _typed(self, ctx: commands.Context[Any]) -> str:
        """How the same commands are written in a message here."""
        name = self._bot.user.name if self._bot.user is not None else "Mynah"
        after_mention = f"`@{name} models`"
        if ctx.guild is not None and not self._bot.intents.message_content:
            return after_mention
        return f"`{self._bot.settings.discord.prefix_in(hybrid.guild_id(ctx))}models` or {after_mention}"
