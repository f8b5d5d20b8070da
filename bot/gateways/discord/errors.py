"""Whatever goes wrong with a command or a button reaches the one who gave it, in a sentence; what we did not foresee
gets a number that is in the log too."""

from __future__ import annotations

import contextlib
import logging
import secrets
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from bot.errors import place_of
from bot.gateways.discord.lengths import cut
from bot.gateways.printable import without_folders
from storage.errors import MynahError

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)

_NO_PINGS = discord.AllowedMentions.none()
_OPTIONS = {
    "file=PATH": "with a file attached",
    "as=NAME": "name:NAME",
    "version=N": "version:N",
    "source=x [depth=N]": "source:x [depth:N]",
}
_THINKING = "thinking"
"""Set in an interaction whose deferred answer is still empty."""


class Refused(commands.CheckFailure):
    """Somebody may not do this; the sentence says why."""


async def on_command_error(ctx: commands.Context[Any], error: commands.CommandError) -> None:
    """Of hybrid commands, typed or slash."""
    if isinstance(error, commands.CommandNotFound):  # after the prefix, it may be another bot's command
        return
    await answer(ctx, in_words(error, ctx))


class Tree(app_commands.CommandTree[commands.AutoShardedBot]):
    """The commands that Discord shows, and what is told of stale ones."""

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        await _on_tree_error(interaction, error)


async def _on_tree_error(interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
    if isinstance(error, app_commands.CommandNotFound):
        text = "That command is not here any more. Discord shows the new ones in a minute; try again then."
    else:
        text = in_words(error, None)
    with contextlib.suppress(discord.HTTPException):
        await privately(interaction, text)


async def privately(interaction: discord.Interaction[Any], text: str) -> None:
    """Answer the one who asked alone; where Discord says that it is too late, nobody waits for it any more."""
    with contextlib.suppress(discord.NotFound):
        if interaction.response.is_done():
            await interaction.followup.send(cut(text, 2_000), ephemeral=True, allowed_mentions=_NO_PINGS)
        else:
            await interaction.response.send_message(cut(text, 2_000), ephemeral=True, allowed_mentions=_NO_PINGS)


async def answer(ctx: commands.Context[Any], text: str) -> None:
    """To the one who asked alone where Discord can do that; in the channel where their command has expired."""
    text = cut(text, 2_000)
    try:
        if ctx.interaction is not None and ctx.interaction.extras.pop(_THINKING, False):
            # An edit, which is the same when discord.py repeats it after a 5xx; a follow-up would be said twice.
            await ctx.interaction.edit_original_response(content=text, allowed_mentions=_NO_PINGS)
        else:
            await ctx.send(text, ephemeral=True, allowed_mentions=_NO_PINGS)
    except discord.HTTPException as error:
        if ctx.interaction is None or error.code not in EXPIRED:
            log.warning("An answer could not be given: %s %s.", error.status, error.code)
            return
        with contextlib.suppress(discord.HTTPException):
            await ctx.channel.send(f"{ctx.author.mention} {text}"[:2_000], allowed_mentions=_NO_PINGS)


EXPIRED = frozenset({10062, 10015, 50027, 40060})
"""Codes of an interaction that cannot be answered: unknown, its webhook gone, its token too old, answered already."""


async def acknowledge(ctx: commands.Context[Any]) -> None:
    """Tell Discord within its three seconds that the command was heard. It is obeyed also where that came too late."""
    try:
        await ctx.defer(ephemeral=True)
        if ctx.interaction is not None:
            ctx.interaction.extras[_THINKING] = True
    except discord.HTTPException as error:
        log.warning("A command was heard too late to be acknowledged: %s %s.", error.status, error.code)


async def break_off(ctx: commands.Context[Any]) -> None:
    """The bot stops while somebody waits: instead of a spinner for ever, they are told."""
    if ctx.interaction is not None and ctx.interaction.extras.get(_THINKING):
        with contextlib.suppress(discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError):
            await answer(ctx, "Mynah stopped before this was done. Ask again in a minute.")


def public(error: MynahError | Refused) -> str:
    """Its sentence and hint, for everybody to read: nothing of this machine's folders is in it."""
    return in_discords_words(without_folders(str(error)))


def in_discords_words(text: str) -> str:
    """What is said alike everywhere, with options as members give them and not as the console's lines have them."""
    for console, discords in _OPTIONS.items():
        text = text.replace(console, discords)
    return text


def in_words(error: BaseException, ctx: commands.Context[Any] | None) -> str:
    """What a person is told."""
    cause = _cause(error)
    if isinstance(cause, MynahError):
        return public(cause)
    if isinstance(cause, commands.CommandOnCooldown | app_commands.CommandOnCooldown):
        return f"A little slower, please: again in {max(1, round(cause.retry_after))} s."
    if isinstance(cause, commands.NoPrivateMessage | app_commands.NoPrivateMessage):
        return "That works in a server's channel only."
    if isinstance(cause, commands.MissingPermissions | app_commands.MissingPermissions):
        names = ", ".join(name.replace("_", " ") for name in cause.missing_permissions)
        return f"For that you need the permission to {names}."
    if isinstance(cause, commands.CheckFailure | app_commands.CheckFailure):
        return str(cause) or "You may not do that here."
    if isinstance(cause, commands.RangeError):
        return f"{cause.value} is out of range: it may be {cause.minimum} to {cause.maximum}."
    if isinstance(cause, commands.UserInputError) and ctx is not None and ctx.command is not None:
        usage = f"{ctx.clean_prefix}{ctx.command.qualified_name} {ctx.command.signature}".strip()
        return f"That command is written otherwise: `{usage}`"
    if isinstance(cause, discord.Forbidden):
        return "The bot may not do that here. Ask who manages the server to let it send messages and embed links."
    number = log_mistake("A command", cause)
    return f"Mynah met an error that it does not know (number {number}). Please tell whoever runs this bot."


def log_mistake(what: str, error: BaseException | None = None) -> str:
    """Type and place, never what people wrote; returns the number under which it is in the log."""
    number = secrets.token_hex(3)
    error = error or sys.exception()
    if error is not None:
        log.error("%s met %s at %s (number %s).", what, type(error).__name__, place_of(error), number)
    return number


def _cause(error: BaseException) -> BaseException:
    """What was raised below discord.py's wrappers."""
    wrappers = commands.HybridCommandError | commands.CommandInvokeError | app_commands.CommandInvokeError
    while isinstance(error, wrappers):
        error = error.original
    return error
