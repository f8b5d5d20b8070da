"""What Discord suggests while somebody types."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import discord
from discord import app_commands

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

MOST = 25
"""Discord shows no more."""


async def personas_here(interaction: discord.Interaction, begun: str) -> list[app_commands.Choice[str]]:
    """Personas whose handle holds what was typed."""
    bot = cast("MynahBot", interaction.client)
    wanted = begun.strip().removeprefix("@").casefold()
    found = [persona.handle for persona in await bot.talk.everybody() if wanted in persona.handle]
    return [app_commands.Choice(name=f"@{handle}"[:100], value=handle) for handle in found[:MOST]]


async def recipes_here(interaction: discord.Interaction, begun: str) -> list[app_commands.Choice[str]]:
    """Mynah's recipes and the owner's."""
    bot = cast("MynahBot", interaction.client)
    known = bot.settings.known_recipes.values()
    return [
        app_commands.Choice(name=f"{recipe.name}: {recipe.summary}"[:100], value=recipe.name)
        for recipe in known
        if begun.casefold() in recipe.name
    ][:MOST]
