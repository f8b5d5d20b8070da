"""`/say` and what shows the personas: `/models`, `/card`, `/versions`, `/rollback`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.errors import CommandError
from bot.gateways import figures, text
from bot.gateways.discord import hybrid
from bot.gateways.discord.cogs.choices import personas_here
from bot.gateways.discord.errors import acknowledge, answer, in_discords_words
from bot.gateways.discord.permissions import allowed
from bot.gateways.discord.views import card_parts
from bot.posting.sender import NotSent

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

MOST_AT_ONCE = 5
"""Posts in a channel: more would push away what people say."""


class PersonasCog(commands.Cog, name="Personas"):
    """Everybody may look; `discord.may_speak` names who may have them speak."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._commands = bot.app.commands

    @hybrid.command("say", "Have a persona say something new")
    @app_commands.describe(user="whose voice", prompt="how it begins", count="how many posts, up to 5")
    @app_commands.autocomplete(user=personas_here)
    @allowed("speak")
    async def say(
        self,
        ctx: commands.Context[Any],
        user: str,
        count: commands.Range[int, 1, MOST_AT_ONCE] = 1,
        *,
        prompt: str = "",
    ) -> None:
        await acknowledge(ctx)
        self._bot.quotas.refuse_hasty(ctx.author, hybrid.guild_id(ctx))
        persona = await self._bot.talk.persona(user)
        key = ctx.interaction.id if ctx.interaction is not None else ctx.message.id
        for number in range(count):
            outcome = await self._bot.talk.say(ctx.channel, persona, f"s{key}-{number}", prompt=prompt)
            if isinstance(outcome, NotSent):
                raise CommandError(outcome.reason, outcome.hint)
        if ctx.interaction is not None:
            await answer(ctx, f"@{persona.handle} has spoken.")

    @hybrid.command("models", "Who is here")
    async def models(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        await answer(ctx, _table(text.models_table(await self._commands.models())))

    @hybrid.command("versions", "A persona's versions, and how good each was found")
    @app_commands.describe(user="whose")
    @app_commands.autocomplete(user=personas_here)
    async def versions(self, ctx: commands.Context[Any], user: str) -> None:
        await acknowledge(ctx)
        await answer(ctx, _table(figures.versions_table(await self._commands.versions(user))))

    @hybrid.command("rollback", "Have an older version speak")
    @app_commands.describe(user="whose", version="which; the one before by default")
    @app_commands.autocomplete(user=personas_here)
    @allowed("administrate")
    async def rollback(self, ctx: commands.Context[Any], user: str, version: int | None = None) -> None:
        await acknowledge(ctx)
        clone = await self._commands.rollback(user, version)
        await answer(ctx, f"Version {clone.version} speaks now.")

    @hybrid.command("card", "What a persona learned from, how good it is, and what it may be used for")
    @app_commands.describe(user="whose")
    @app_commands.autocomplete(user=personas_here)
    async def card(self, ctx: commands.Context[Any], user: str) -> None:
        await acknowledge(ctx)
        self._bot.quotas.refuse_hasty(ctx.author, hybrid.guild_id(ctx))
        persona = await self._bot.talk.persona(user)
        folder = await self._commands.card(user)
        embed, files = await asyncio.to_thread(card_parts, persona, folder)
        await ctx.send(embed=embed, files=files, ephemeral=True, allowed_mentions=discord.AllowedMentions.none())


def _table(lines: list[str]) -> str:
    """Columns stay below each other; what does not fit is left out, and said."""
    shown, room = [], 1_900
    for line in map(in_discords_words, lines):
        room -= len(line) + 1
        if room < 0:
            shown.append("…")
            break
        shown.append(line.replace("`", "ˋ"))
    return "```\n" + "\n".join(shown) + "\n```"
