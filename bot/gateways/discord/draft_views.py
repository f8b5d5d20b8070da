"""A draft on Discord: its text, and the buttons with which a person decides on it.

What a button is about is in its id, so that it answers after any number of restarts.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Self, cast

import discord

from bot.gateways.discord.buttons import Button
from bot.gateways.discord.errors import Refused, privately, public
from bot.gateways.discord.lengths import cut
from bot.gateways.discord.permissions import may
from bot.posting.outbox import Entry
from storage.errors import MynahError
from storage.outbox import OutboxPost

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

_LABELS = {
    "approve": ("Approve", discord.ButtonStyle.success),
    "edit": ("Edit", discord.ButtonStyle.secondary),
    "reroll": ("Another", discord.ButtonStyle.secondary),
    "reject": ("Reject", discord.ButtonStyle.danger),
    "all": ("Approve all", discord.ButtonStyle.secondary),
}
_COLOURS = {"draft": 0xE0A100, "rejected": 0xB03030, "skipped": 0x808080}
_DECIDED = 0x2E8B57
_LONGEST = 2_000
_NOT_ALLOWED = "Drafts are decided on by those whom discord.may_schedule in the bot's config.toml names."


class DraftButton(
    Button,
    template=r"draft:(?P<post_id>[0-9A-Z]{26}):(?P<what>approve|edit|reroll|reject|all)(?::(?P<seen>[0-9a-f]{8}))?",
):
    """Any of them. `seen` is of which text it stands below: another one may be written elsewhere meanwhile."""

    def __init__(self, post_id: str, what: str, seen: str | None) -> None:
        label, style = _LABELS[what]
        of_text = f":{seen}" if seen else ""  # older messages do not say so
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"draft:{post_id}:{what}{of_text}"))
        self.post_id, self.what, self.seen = post_id, what, seen

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[discord.Client], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["post_id"], match["what"], match["seen"])

    async def callback(self, interaction: discord.Interaction[discord.Client]) -> None:
        bot = cast("MynahBot", interaction.client)
        drafts, by = bot.app.commands.drafts, f"discord:{interaction.user.id}"
        try:
            if not may(bot, interaction.user, "schedule"):
                raise Refused(_NOT_ALLOWED)
            match self.what:
                case "edit" | "reject":
                    entry = await bot.app.commands.outbox.show(self.post_id)
                    await interaction.response.send_modal(DraftForm(self.what, entry[0], interaction.id))
                    return
                case "approve":
                    await interaction.response.defer()
                    now, _ = await bot.app.commands.outbox.show(self.post_id)
                    if self.seen not in (None, _digest(now.post.text)):
                        await show(interaction, now)
                        raise Refused("Another text was written for it meanwhile. It is shown now; decide on that one.")
                    await show(interaction, await drafts.approve(self.post_id, by))
                case "reroll":
                    bot.quotas.refuse_hasty(interaction.user, interaction.guild_id)
                    await interaction.response.defer()
                    await show(interaction, await drafts.reroll(self.post_id, by))
                case _:
                    await interaction.response.defer()
                    approved = await drafts.approve_all(by)
                    await privately(interaction, f"{len(approved)} drafts were approved.")
        except Refused as error:
            await privately(interaction, public(error))
        except MynahError as error:
            await privately(interaction, public(error))


class DraftForm(discord.ui.Modal):
    """A draft in a person's own words, or why it is rejected."""

    def __init__(self, what: str, entry: Entry, number: int) -> None:
        # Forms are known by their ids alone: two people's must not share one.
        title = "Edit and approve" if what == "edit" else "Reject"
        super().__init__(title=title, custom_id=f"draft:{number}", timeout=900)
        self._what, self._id = what, entry.post.id
        self.words: discord.ui.TextInput[Any] = discord.ui.TextInput(
            label="The post" if what == "edit" else "Why",
            style=discord.TextStyle.paragraph,
            default=cut(entry.post.text, _LONGEST) if what == "edit" else None,
            required=what == "edit",
            custom_id="words",
            max_length=_LONGEST if what == "edit" else 200,
        )
        self.add_item(self.words)

    async def on_submit(self, interaction: discord.Interaction[discord.Client], /) -> None:
        bot = cast("MynahBot", interaction.client)
        drafts, by = bot.app.commands.drafts, f"discord:{interaction.user.id}"
        try:
            await interaction.response.defer()
            if self._what == "edit":
                await show(interaction, await drafts.edit(self._id, self.words.value, by))
            else:
                await show(interaction, await drafts.reject(self._id, self.words.value, by))
        except MynahError as error:
            await privately(interaction, public(error))


def draft_embed(entry: Entry) -> discord.Embed:
    """What the draft says, and where it stands."""
    post = entry.post
    embed = discord.Embed(
        title=f"@{discord.utils.escape_markdown(entry.handle)} → {entry.where}",
        description=cut(discord.utils.escape_mentions(post.text), _LONGEST),
        colour=_COLOURS.get(post.state, _DECIDED),
    )
    embed.add_field(name="Due", value=discord.utils.format_dt(post.due_at, "f"))
    if post.state == "draft" and post.expires_at is not None:
        embed.add_field(name="Given up", value=discord.utils.format_dt(post.expires_at, "R"))
    if post.state != "draft":
        who = (post.decided_by or "").removeprefix("discord:")
        by = f" by <@{who}>" if who.isdecimal() else f" at the {who}" if who else ""
        embed.add_field(name="Decided", value=cut(f"{post.reason or post.state}{by}", 1_000))
    return embed


def draft_view(post: OutboxPost) -> discord.ui.View:
    """The buttons below a draft."""
    view = discord.ui.View(timeout=None)
    for what in _LABELS:
        view.add_item(DraftButton(post.id, what, _digest(post.text)))
    return view


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


async def show(interaction: discord.Interaction[discord.Client], entry: Entry) -> None:
    """Bring the message of a draft up to date, after a click on it."""
    view = draft_view(entry.post) if entry.post.state == "draft" else None
    await interaction.edit_original_response(embed=draft_embed(entry), view=view)
