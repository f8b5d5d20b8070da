"""The buttons below a finished clone: say more, card, schedule, delete.

What a button is about is in its id, so that it answers after any number of restarts; where its clone is gone, it says
so.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import discord

from bot.errors import CommandError, NotFound
from bot.gateways.discord.buttons import Button
from bot.gateways.discord.clone_page import PICTURE
from bot.gateways.discord.errors import privately, public
from bot.gateways.discord.lengths import cut
from bot.gateways.discord.permissions import may
from bot.gateways.families.people import told
from bot.posting.sender import NotSent
from bot.schedules.requests import ScheduleRequest
from storage import clones, personas
from storage.clones import Clone
from storage.errors import MynahError, StorageError
from storage.personas import Persona

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

Client = discord.Client
"""As discord.py has it; it is a `MynahBot`."""

_LABELS = {
    "more": ("Say more", discord.ButtonStyle.primary),
    "card": ("Card", discord.ButtonStyle.secondary),
    "schedule": ("Schedule", discord.ButtonStyle.secondary),
    "delete": ("Delete", discord.ButtonStyle.danger),
    "erase": ("Delete for good", discord.ButtonStyle.danger),
    "keep": ("Keep", discord.ButtonStyle.secondary),
}
_NO_PINGS = discord.AllowedMentions.none()


class CloneButton(
    Button,
    template=r"clone:(?P<clone_id>[0-9A-Z]{26}):(?P<what>more|card|schedule|delete|erase|keep)",
):
    """Any of them."""

    def __init__(self, clone_id: str, what: str) -> None:
        label, style = _LABELS[what]
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"clone:{clone_id}:{what}"))
        self.clone_id, self.what = clone_id, what

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Client], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["clone_id"], match["what"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:
        bot = cast("MynahBot", interaction.client)
        try:
            clone, persona = await _clone(bot, self.clone_id)
            match self.what:
                case "more":
                    _refuse_unless(may(bot, interaction.user, "speak"), "have personas speak")
                    bot.quotas.refuse_hasty(interaction.user, interaction.guild_id)
                    await _say_more(bot, interaction, persona)
                case "card":
                    bot.quotas.refuse_hasty(interaction.user, interaction.guild_id)
                    await _show_card(bot, interaction, persona)
                case "schedule":
                    _refuse_unless(may(bot, interaction.user, "schedule"), "schedule posts")
                    await interaction.response.send_modal(ScheduleForm(persona.handle, interaction.id))
                case "delete":
                    await _refuse_deletion(bot, interaction.user, clone, persona)
                    await _ask_to_delete(interaction, clone, persona)
                case "erase":
                    await _refuse_deletion(bot, interaction.user, clone, persona)
                    await _delete(bot, interaction, persona)
                case "keep":
                    await interaction.response.edit_message(content=f"@{persona.handle} stays.", view=None)
        except MynahError as error:
            await privately(interaction, public(error))


class ScheduleForm(discord.ui.Modal):
    """When a persona should post here."""

    def __init__(self, handle: str, number: int) -> None:
        # Forms are known by their ids alone: two people's must not share one.
        super().__init__(title=cut(f"Schedule @{handle}", 45), custom_id=f"schedule:{number}", timeout=900)
        self._handle = handle
        self.when: discord.ui.TextInput[Any] = discord.ui.TextInput(
            label="When", placeholder="every day at 9:00", custom_id="when", max_length=200
        )
        self.prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(
            label="Its posts begin with", required=False, custom_id="prompt", max_length=280
        )
        self.add_item(self.when)
        self.add_item(self.prompt)

    async def on_submit(self, interaction: discord.Interaction[Client], /) -> None:
        bot = cast("MynahBot", interaction.client)
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            text = await _schedule(bot, interaction, self._handle, self.when.value, self.prompt.value)
        except MynahError as error:
            text = public(error)
        await interaction.edit_original_response(content=cut(text, 2_000), allowed_mentions=_NO_PINGS)


def ready_view(clone_id: str) -> discord.ui.View:
    """What stands below a clone that speaks."""
    view = discord.ui.View(timeout=None)
    for what in ("more", "card", "schedule", "delete"):
        view.add_item(CloneButton(clone_id, what))
    return view


async def _clone(bot: MynahBot, clone_id: str) -> tuple[Clone, Persona]:
    try:
        clone = await bot.app.store.run(clones.get, clone_id)
        return clone, await bot.app.store.run(personas.get, clone.persona_id)
    except StorageError:
        raise NotFound("That clone is not here any more.", "See /models for those that are.") from None


async def _say_more(bot: MynahBot, interaction: discord.Interaction[Client], persona: Persona) -> None:
    with contextlib.suppress(discord.NotFound):  # too late to be answered, not too late to speak
        await interaction.response.defer()
    if not isinstance(interaction.channel, discord.abc.Messageable):
        raise CommandError("Nobody can speak here.", "Use /say in a text channel.")
    # A click has an id of its own, so that clicking twice says two things, and one click one.
    outcome = await bot.talk.say(interaction.channel, persona, f"c{interaction.id}")
    if isinstance(outcome, NotSent):
        raise CommandError(outcome.reason, outcome.hint)


async def _show_card(bot: MynahBot, interaction: discord.Interaction[Client], persona: Persona) -> None:
    await interaction.response.defer(ephemeral=True, thinking=True)
    try:
        folder = await bot.app.commands.card(persona.handle)
        embed, files = await asyncio.to_thread(card_parts, persona, folder)
        await interaction.edit_original_response(embed=embed, attachments=files, allowed_mentions=_NO_PINGS)
    except MynahError as error:
        await interaction.edit_original_response(content=cut(public(error), 2_000))


def card_parts(persona: Persona, folder: Path) -> tuple[discord.Embed, list[discord.File]]:
    """The picture to look at, the card and its page to read."""
    embed = discord.Embed(title=f"@{discord.utils.escape_markdown(persona.handle)}")
    embed.set_image(url=f"attachment://{PICTURE}")
    embed.set_footer(text=f"A bot imitating @{persona.handle}: made up, not said by them.")
    names = {PICTURE: PICTURE, "README.md": f"{persona.handle}.md"}
    return embed, [discord.File(folder / name, shown) for name, shown in names.items() if (folder / name).is_file()]


async def _schedule(
    bot: MynahBot, interaction: discord.Interaction[Client], handle: str, words: str, prompt: str
) -> str:
    """Here, until somebody pauses or removes it."""
    planned = await bot.app.commands.schedules.add(
        ScheduleRequest(
            handle,
            words,
            target=f"discord:{interaction.channel_id}",
            prompt=prompt,
            created_by=f"discord:{interaction.user.id}",
        )
    )
    times = ", ".join(discord.utils.format_dt(moment, "f") for moment in planned.next[:3])
    number = planned.schedule.number
    return f"@{handle} will post here: {times} …\n`/schedule pause {number}` or `remove {number}` ends it."


async def _ask_to_delete(interaction: discord.Interaction[Client], clone: Clone, persona: Persona) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(CloneButton(clone.id, "erase"))
    view.add_item(CloneButton(clone.id, "keep"))
    await interaction.response.send_message(
        f"Delete @{persona.handle} for good: posts, every version, schedules, what waits to be posted, and pictures?",
        view=view,
        ephemeral=True,
        allowed_mentions=_NO_PINGS,
    )


async def _delete(bot: MynahBot, interaction: discord.Interaction[Client], persona: Persona) -> None:
    """For good; what stands of it on Discord is cleared away, too, but for what it said."""
    await interaction.response.defer()
    forgotten = await bot.app.commands.people.forget(persona.handle)
    await bot.progress.clear_away()
    await bot.talk.webhooks.clear_away()
    text = cut("\n".join(told(forgotten)), 2_000)
    await interaction.edit_original_response(content=text, view=None, allowed_mentions=_NO_PINGS)


async def _refuse_deletion(bot: MynahBot, who: discord.abc.User, clone: Clone, persona: Persona) -> None:
    theirs = await bot.app.commands.people.may_forget(persona.handle, str(who.id))
    _refuse_unless(theirs or may(bot, who, "administrate"), f"delete @{persona.handle}")


def _refuse_unless(may_do_it: bool, what: str) -> None:
    if not may_do_it:
        raise CommandError(f"You may not {what} here.", "Ask whoever runs this bot.")
