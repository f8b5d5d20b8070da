"""What X would cost is asked in the channel, and answered by whoever asked for the clone, or by an administrator.

What a button is about is in its id, so that it answers after any number of restarts. A yes buys no more posts than the
question named, whatever the account has posted since.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import discord
from discord.ext import commands

from bot.errors import CommandError
from bot.gateways.discord.buttons import Button
from bot.gateways.discord.errors import answer, privately, public
from bot.gateways.discord.lengths import MESSAGE, cut
from bot.gateways.discord.permissions import may
from bot.requests import CloneRequest, RefreshRequest
from bot.x.asking import NeedsYes
from storage.errors import MynahError

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

ANSWER_WITHIN_S = 24 * 3_600
_MINUTE_S = 60
_LABELS = {
    "clone": ("Collect them", discord.ButtonStyle.success),
    "refresh": ("Collect them", discord.ButtonStyle.success),
    "no": ("No", discord.ButtonStyle.secondary),
}
_NO_PINGS = discord.AllowedMentions.none()


class PriceButton(
    Button,
    template=(
        r"price:(?P<what>clone|refresh|no):(?P<asker>\d{1,20}):(?P<until_min>\d{1,8}):(?P<depth>\d{1,6})"
        r":(?P<handle>\w{1,15}):(?P<recipe>[a-z0-9_-]{0,32})"
    ),
):
    """Yes or no to a price; `until_min` counts the minutes of Unix time until which it may be said."""

    def __init__(self, what: str, asker: int, until_min: int, depth: int, handle: str, recipe: str) -> None:
        label, style = _LABELS[what]
        id = f"price:{what}:{asker}:{until_min}:{depth}:{handle}:{recipe}"
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=id))
        self.what, self.asker, self.until_min = what, asker, until_min
        self.depth, self.handle, self.asked_recipe = depth, handle, recipe or None

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        asker, until_min, depth = (int(match[name]) for name in ("asker", "until_min", "depth"))
        return cls(match["what"], asker, until_min, depth, match["handle"], match["recipe"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        bot = cast("MynahBot", interaction.client)
        try:
            theirs = interaction.user.id == self.asker and may(bot, interaction.user, "clone")
            if not theirs and not may(bot, interaction.user, "administrate"):
                raise CommandError("That question is put to whoever asked for the clone.", "Ask for one of your own.")
            if self.what == "no":
                await interaction.response.edit_message(content="Nothing was collected.", view=None)
            elif time.time() > self.until_min * _MINUTE_S:
                await interaction.response.edit_message(view=None)
                raise CommandError("That question is a day old, and the price may be another.", "Ask once more.")
            else:
                await bot.quotas.refuse_beyond(interaction.user, interaction.guild_id)
                await self._buy(bot, interaction)
        except MynahError as error:
            await privately(interaction, public(error))

    async def _buy(self, bot: MynahBot, interaction: discord.Interaction[Any]) -> None:
        """In line first, so that a question whose yes was lost in a crash can be answered once more."""
        await interaction.response.defer()
        place = f"@{interaction.guild_id}" if interaction.guild_id is not None else ""
        by = f"discord:{self.asker}{place}"
        if self.what == "clone":
            submitted = await bot.app.commands.clone(
                CloneRequest(
                    self.handle, None, self.asked_recipe, requested_by=by, source="x", depth=self.depth, ask=_yes
                )
            )
        else:
            submitted = await bot.app.commands.refresh(
                RefreshRequest(self.handle, requested_by=by, depth=self.depth, ask=_yes)
            )
        await interaction.edit_original_response(view=None)
        await bot.progress.begin(interaction, submitted)


async def ask_price(
    ctx: commands.Context[Any], what: Literal["clone", "refresh"], asked: NeedsYes, recipe: str | None = None
) -> None:
    """Put the price into the channel, with its buttons."""
    until_min = int(time.time() + ANSWER_WITHIN_S) // _MINUTE_S
    view = discord.ui.View(timeout=None)
    for label in (what, "no"):
        view.add_item(PriceButton(label, ctx.author.id, until_min, asked.depth, asked.handle, recipe or ""))
    key = ctx.interaction.id if ctx.interaction is not None else ctx.message.id
    question = f"{ctx.author.mention} {discord.utils.escape_markdown(asked.question)}"
    await ctx.channel.send(cut(question, MESSAGE), view=view, nonce=f"p{key}", allowed_mentions=_NO_PINGS)
    if ctx.interaction is not None:
        await answer(ctx, "What it costs is asked in this channel; yours, or an administrator's, is the answer.")


async def _yes(_: str) -> bool:
    return True
