"""`/optout`, `/forget`, `/privacy`: for anybody, at once, and privately; each asks first and tells what was deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord import app_commands
from discord.ext import commands

from bot.errors import CommandError
from bot.gateways.discord import hybrid
from bot.gateways.discord.cogs.choices import personas_here
from bot.gateways.discord.consent_views import ConsentButton, ErasureButton, confirmation
from bot.gateways.discord.errors import acknowledge, answer
from bot.gateways.discord.permissions import may
from storage import personas

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot


class PeopleCog(commands.Cog, name="People"):
    """What everybody may do about their own voice."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._people = bot.app.commands.people

    async def cog_load(self) -> None:
        self._bot.add_dynamic_items(ConsentButton, ErasureButton)

    async def cog_unload(self) -> None:
        self._bot.remove_dynamic_items(ConsentButton, ErasureButton)

    @hybrid.command("optout", "Never be cloned here: all that is yours is deleted, and every clone of you refused")
    @app_commands.describe(user="a handle, for whoever runs this bot; leave it out for yourself")
    async def optout(self, ctx: commands.Context[Any], user: str | None = None) -> None:
        await acknowledge(ctx)
        if user is None:
            await confirmation(
                ctx,
                "optout",
                str(ctx.author.id),
                "Delete your clones with posts, weights and all that came from them, and refuse every clone of you "
                "here, for good?",
            )
            return
        handle = personas.normalise_handle(user)
        if not may(self._bot, ctx.author, "administrate") and not await self._is_theirs(ctx, handle):
            raise CommandError(
                f"Whether you are @{handle} is not known here.",
                "/optout alone is for yourself. For a handle, ask whoever runs this bot; they can do it at once.",
            )
        await confirmation(
            ctx, "optout", f"@{handle}", f"Delete all of @{handle}, and refuse every clone of them here, for good?"
        )

    @hybrid.command("forget", "Delete a persona: posts, clones, weights, schedules, outbox and pictures")
    @app_commands.describe(user="whose voice")
    @app_commands.autocomplete(user=personas_here)
    async def forget(self, ctx: commands.Context[Any], user: str) -> None:
        await acknowledge(ctx)
        handle = personas.normalise_handle(user)
        if not may(self._bot, ctx.author, "administrate") and not await self._people.may_forget(
            handle, str(ctx.author.id)
        ):
            raise CommandError(
                f"You may not delete @{handle} here.",
                "Whose voice it is, whoever asked for it, and whoever runs this bot may. /optout is for yourself.",
            )
        await confirmation(
            ctx,
            "forget",
            f"@{handle}",
            f"Delete @{handle} for good: posts, every version, schedules, what waits to be posted, and pictures?",
        )

    @hybrid.command("privacy", "What is kept of you, why, and how to have it deleted")
    async def privacy(self, ctx: commands.Context[Any]) -> None:
        await acknowledge(ctx)
        await answer(ctx, "\n".join((await self._people.privacy()).lines))

    async def _is_theirs(self, ctx: commands.Context[Any], handle: str) -> bool:
        """Whether the voice of that handle was handed over by this member."""
        found = await self._bot.app.store.run(personas.find, handle)
        return found is not None and await self._people.is_voice_of(handle, str(ctx.author.id))
