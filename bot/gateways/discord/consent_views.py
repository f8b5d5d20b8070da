"""Asking a member whether they may be cloned, in the channel where somebody wished for it; and asking before deletion.

What a button is about is in its id, so that it answers after any number of restarts. Only the member who is asked may
press: their word is kept with its time. Nothing is sent to them privately, and no message that they wrote is read:
their voice comes from a file alone, which they hand over in the form behind *Upload*.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import discord
from discord.ext import commands

from bot.data_folder import DataFolder
from bot.errors import CommandError
from bot.gateways.discord import uploads
from bot.gateways.discord.buttons import Button
from bot.gateways.discord.errors import answer, privately, public
from bot.gateways.discord.lengths import cut
from bot.gateways.discord.permissions import may
from bot.gateways.families.people import told
from bot.people.people import Forgotten
from bot.requests import CloneRequest
from storage.consents import Request
from storage.errors import MynahError

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

Erasure = Literal["optout", "forget"]

HOW_TO_ASK_DISCORD = (
    "Your posts come from a file that you hand over: Discord's data package (*User Settings → Data & Privacy → Request "
    "all of my data*, only *Messages* ticked; it comes by mail within 30 days), or an archive of X, Mastodon or "
    "Bluesky. Direct messages in it are left out. The file is deleted once it is read."
)
_SCOPE = "It learns how you write, speaks here and posts where its schedule says, always marked as a bot imitating you."
_NO_PINGS = discord.AllowedMentions.none()
_LABELS = {
    "agree": ("I agree", discord.ButtonStyle.success),
    "upload": ("Upload", discord.ButtonStyle.primary),
    "refuse": ("No", discord.ButtonStyle.secondary),
    "never": ("Never ask", discord.ButtonStyle.danger),
}


async def ask_member(
    bot: MynahBot, ctx: commands.Context[Any], member_id: int, asked_by: str, recipe: str | None
) -> None:
    """Put the question to a member, in this channel; once, however often somebody wishes for it.

    Raises OptedOut.
    """
    people = bot.app.commands.people
    request = await people.ask(str(member_id), asked_by, str(ctx.channel.id), recipe)
    if request.message_id is not None:
        await answer(ctx, "They are asked in this channel already; it is theirs to answer.")
        return
    said = await ctx.channel.send(
        f"<@{member_id}>, {discord.utils.escape_markdown(ctx.author.display_name)} asks whether Mynah may learn your "
        f"voice. {_SCOPE}\n{HOW_TO_ASK_DISCORD}\nNothing happens unless you agree; `/forget` and `/optout` undo it at "
        "any time, `/privacy` says what is kept.",
        view=_question(request.id),
        allowed_mentions=discord.AllowedMentions(
            everyone=False, roles=False, users=[discord.Object(member_id)], replied_user=False
        ),
    )
    await people.asked_in(request.id, str(said.id))
    await answer(ctx, "They are asked in this channel. Only they can agree, and hand over a file of their posts.")


class ConsentButton(
    Button,
    template=r"consent:(?P<request_id>[0-9A-Z]{26}):(?P<what>agree|upload|refuse|never)",
):
    """A member's answer to the question."""

    def __init__(self, request_id: str, what: str) -> None:
        label, style = _LABELS[what]
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"consent:{request_id}:{what}"))
        self.request_id, self.what = request_id, what

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["request_id"], match["what"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        bot = cast("MynahBot", interaction.client)
        try:
            request = await _theirs(bot, interaction, self.request_id)
            match self.what:
                case "agree":
                    await _agree(bot, interaction, request)
                case "upload":
                    await _offer_upload(interaction, request)
                case "refuse":
                    await bot.app.commands.people.close(request.id)
                    await interaction.response.edit_message(content="They said no, and nothing is kept.", view=None)
                case _:
                    await interaction.response.defer()
                    await _opt_out(bot, interaction, request.member_id)  # which closes the question, too
                    await interaction.edit_original_response(content="They said no, and nothing is kept.", view=None)
        except MynahError as error:
            await privately(interaction, public(error))


class UploadForm(discord.ui.Modal):
    """The file of a member who agreed."""

    def __init__(self, request_id: str, number: int) -> None:
        # Forms are known by their ids alone: two people's must not share one.
        super().__init__(title="A file of your own posts", custom_id=f"upload:{number}", timeout=900)
        self._request_id = request_id
        self.file: discord.ui.FileUpload[Any] = discord.ui.FileUpload(custom_id="file", min_values=1, max_values=1)
        self.add_item(
            discord.ui.Label(
                text="Data package or archive", description="zip, tar.gz, CAR, JSON or CSV", component=self.file
            )
        )

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        bot = cast("MynahBot", interaction.client)
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            await _take(bot, interaction, await _theirs(bot, interaction, self._request_id), self.file.values[0])
        except MynahError as error:
            await interaction.edit_original_response(content=public(error), allowed_mentions=_NO_PINGS)


class ErasureButton(
    Button,
    template=r"erase:(?P<what>optout|forget|keep):(?P<whom>@[\w.@-]{1,64}|\d{1,20})",
):
    """Yes or no to a deletion; whoever presses must be allowed to, now as when they asked."""

    def __init__(self, what: str, whom: str) -> None:
        label = "Keep" if what == "keep" else "Delete for good"
        style = discord.ButtonStyle.secondary if what == "keep" else discord.ButtonStyle.danger
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"erase:{what}:{whom}"))
        self.what, self.whom = what, whom

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["what"], match["whom"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        bot = cast("MynahBot", interaction.client)
        if self.what == "keep":
            await interaction.response.edit_message(content="Nothing was deleted.", view=None)
            return
        await interaction.response.defer()
        try:
            await _refuse_others(bot, interaction.user, self.what, self.whom)
            text = "\n".join(told(await _erase(bot, self.what, self.whom)))
        except MynahError as error:
            text = public(error)
        if self.what == "optout":
            text += "\nNobody is cloned under that name here again; only a salted hash of it is kept."
        await interaction.edit_original_response(content=cut(text, 2_000), view=None, allowed_mentions=_NO_PINGS)


async def confirmation(ctx: commands.Context[Any], what: Erasure, whom: str, question: str) -> None:
    """Ask before anything is deleted, privately where Discord can do that."""
    view = discord.ui.View(timeout=None)
    view.add_item(ErasureButton(what, whom))
    view.add_item(ErasureButton("keep", whom))
    await ctx.send(question, view=view, ephemeral=True, allowed_mentions=_NO_PINGS)


def _question(request_id: str) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for what in _LABELS:
        view.add_item(ConsentButton(request_id, what))
    return view


async def _theirs(bot: MynahBot, interaction: discord.Interaction[Any], request_id: str) -> Request:
    """The request. Raises CommandError for anybody but the member who is asked, StorageError where it is gone."""
    request = await bot.app.commands.people.request(request_id)
    if str(interaction.user.id) != request.member_id:
        raise CommandError("That question is put to somebody else.", "Only they can answer it.")
    return request


async def _agree(bot: MynahBot, interaction: discord.Interaction[Any], request: Request) -> None:
    agreed = await bot.app.commands.people.agree(request.id)
    assert agreed.agreed_at is not None
    view = discord.ui.View(timeout=None)
    for what in ("upload", "refuse"):
        view.add_item(ConsentButton(request.id, what))
    await interaction.response.edit_message(
        content=f"<@{request.member_id}> agreed ({discord.utils.format_dt(agreed.agreed_at)}). {HOW_TO_ASK_DISCORD}",
        view=view,
        allowed_mentions=_NO_PINGS,
    )


async def _offer_upload(interaction: discord.Interaction[Any], request: Request) -> None:
    if request.agreed_at is None:
        raise CommandError("Press *I agree* first.", "Your word is kept with its time; then hand over the file.")
    await interaction.response.send_modal(UploadForm(request.id, interaction.id))


async def _take(
    bot: MynahBot, interaction: discord.Interaction[Any], request: Request, attachment: discord.Attachment
) -> None:
    """The file in line for a clone; the question is answered with that."""
    bot.quotas.refuse_hasty(interaction.user, interaction.guild_id)
    await bot.quotas.refuse_beyond(interaction.user, interaction.guild_id)
    folder = DataFolder(bot.settings.data_dir).uploads.resolve()
    file = await uploads.fetch(attachment, folder, bot.settings.discord.upload_mb)
    place = f"@{interaction.guild_id}" if interaction.guild_id is not None else ""
    asked = CloneRequest(
        interaction.user.name, file, request.recipe, requested_by=f"discord:{interaction.user.id}{place}"
    )
    try:
        submitted = await bot.app.commands.clone(asked)
    except BaseException:
        uploads.discard(file)
        raise
    if interaction.message is not None:
        with contextlib.suppress(discord.HTTPException):
            await interaction.message.edit(view=None)
    await bot.progress.begin(interaction, submitted)


async def _opt_out(bot: MynahBot, interaction: discord.Interaction[Any], member_id: str) -> None:
    """They said so themselves, by a button that says it."""
    forgotten = await bot.app.commands.people.optout(member_id, "discord")
    await _cleared(bot)
    await privately(interaction, "\n".join(("You are never asked or cloned here again.", *told(forgotten))))


async def _erase(bot: MynahBot, what: str, whom: str) -> Forgotten:
    people = bot.app.commands.people
    if what == "forget":
        forgotten = await people.forget(whom)
    elif whom.startswith("@"):
        forgotten = await people.optout(whom)
    else:
        forgotten = await people.optout(whom, "discord")
    await _cleared(bot)
    return forgotten


async def _cleared(bot: MynahBot) -> None:
    """What stands of it on Discord goes, too, but for what it said."""
    await bot.progress.clear_away()
    await bot.talk.webhooks.clear_away()


async def _refuse_others(bot: MynahBot, who: discord.abc.User, what: str, whom: str) -> None:
    people, id = bot.app.commands.people, str(who.id)
    if whom == id or may(bot, who, "administrate"):
        return
    allowed = whom.startswith("@") and (
        await people.may_forget(whom, id) if what == "forget" else await people.is_voice_of(whom, id)
    )
    if not allowed:
        raise CommandError("You may not delete that here.", "Ask whoever runs this bot.")
