"""Who may do what: lists of role and user ids in config.toml. The bot's owner may do everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import discord
from discord.ext import commands

from bot.gateways.discord.errors import Refused

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

T = TypeVar("T")
What = Literal["administrate", "clone", "schedule", "speak"]


def allowed(what: What) -> Callable[[T], T]:
    """A command for those alone whom `discord.may_…` names."""

    def check(ctx: commands.Context[Any]) -> bool:
        if not may(ctx.bot, ctx.author, what):
            raise Refused(_refusal(what))
        return True

    return commands.check(check)


def may(bot: MynahBot, who: discord.abc.User, what: What) -> bool:
    """Whether somebody is on the list; where it is empty, everybody may clone and have personas speak."""
    settings = bot.settings.discord
    if str(who.id) == settings.owner:
        return True
    named = {
        "administrate": settings.may_administrate,
        "clone": settings.may_clone,
        "schedule": settings.may_schedule,
        "speak": settings.may_speak,
    }[what]
    theirs = {str(who.id), *(str(role.id) for role in getattr(who, "roles", ()))}
    if named:
        return not theirs.isdisjoint(named)
    return what in ("clone", "speak") or (what == "schedule" and _manages(who))


def _manages(who: discord.abc.User) -> bool:
    return isinstance(who, discord.Member) and who.guild_permissions.manage_guild


def _refusal(what: What) -> str:
    if what == "administrate":
        return "That is for whoever runs this bot: discord.owner and discord.may_administrate in its config.toml."
    if what == "schedule":
        return "That is for those who manage this server, or whom discord.may_schedule in the bot's config.toml names."
    return f"You are not among those whom discord.may_{what} in the bot's config.toml names."
