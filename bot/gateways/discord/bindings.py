"""`/persona`: who lives in a channel, whether they speak unasked, and what they never say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord import app_commands
from discord.ext import commands

from bot.errors import CommandError
from bot.gateways.discord import hybrid
from bot.gateways.discord.errors import answer
from bot.gateways.discord.permissions import allowed
from bot.gateways.discord.turns import quiet_hours
from bot.gateways.families.drafts import allowance_of, allowed_answer
from bot.guard.words import folded
from storage import discord as records
from storage import personas

if TYPE_CHECKING:
    from bot.gateways.discord.bot import MynahBot

MOST_BLOCKED_WORDS = 200
_NO_WORDS = ("nothing", "none")
MOST_CHANCE = 0.5
"""Of answering what nobody asked: more is a persona that talks to itself."""


class BindingsCog(commands.Cog, name="Bindings"):
    """For those who manage channels."""

    def __init__(self, bot: MynahBot) -> None:
        self._bot = bot
        self._store = bot.app.store

    @hybrid.group("persona", "Who lives in this channel", fallback="here")
    @commands.guild_only()
    async def persona(self, ctx: commands.Context[Any]) -> None:
        binding = await self._store.run(records.binding, ctx.channel.id)
        if binding is None:
            await answer(ctx, "Nobody lives in this channel: `/persona bind` has somebody move in.")
            return
        persona = await self._store.run(personas.get, binding.persona_id)
        quiet = f", never from {binding.quiet_from} to {binding.quiet_until}" if binding.quiet_from else ""
        unasked = f"It answers {binding.chime_chance:.0%} of what nobody asked it{quiet}."
        await answer(
            ctx,
            f"@{persona.handle} lives here: mention the bot, and they answer. "
            + (unasked if binding.chime_chance else "They speak only when they are asked."),
        )

    @hybrid.subcommand(persona, "bind", "Have a persona live in this channel: it answers whoever mentions the bot")
    @app_commands.describe(handle="whose voice")
    @commands.guild_only()
    @commands.has_permissions(manage_channels=True)
    async def bind(self, ctx: commands.Context[Any], handle: str) -> None:
        assert ctx.guild is not None
        persona = await self._bot.talk.persona(handle)
        await self._store.run(records.bind, ctx.channel.id, ctx.guild.id, persona.id)
        await answer(ctx, f"@{persona.handle} lives here now: mention the bot, and they answer.")

    @hybrid.subcommand(persona, "unbind", "Have the persona of this channel move out")
    @commands.guild_only()
    @commands.has_permissions(manage_channels=True)
    async def unbind(self, ctx: commands.Context[Any]) -> None:
        gone = await self._store.run(records.unbind, ctx.channel.id)
        await answer(ctx, "Nobody lives here any more." if gone else "Nobody lived here.")

    @hybrid.subcommand(persona, "chime", "How often the persona of this channel speaks unasked; 0 is never")
    @app_commands.describe(
        percent="of the messages that are not for it, 0 to 50", quiet="hours in which it never does, such as 23-7"
    )
    @commands.guild_only()
    @commands.has_permissions(manage_guild=True)
    async def chime(self, ctx: commands.Context[Any], percent: float, quiet: str = "") -> None:
        if not 0 <= percent <= 100 * MOST_CHANCE:
            raise CommandError(f"{percent:g}% cannot be.", f"Take 0 to {MOST_CHANCE:.0%}; 0 is never.")
        hours = quiet_hours(quiet)
        if await self._store.run(records.binding, ctx.channel.id) is None:
            raise CommandError("Nobody lives in this channel.", "`/persona bind` has somebody move in first.")
        begins, ends = hours or (None, None)
        await self._store.run(records.set_chime, ctx.channel.id, percent / 100, begins, ends)
        if not percent:
            await answer(ctx, "They speak only when they are asked.")
            return
        sees = (
            "" if self._bot.intents.message_content else " Mind: without the message-content intent it reads nothing."
        )
        never = f", never from {begins} to {ends}" if begins else ""
        await answer(ctx, f"They answer {percent:g}% of what nobody asked them{never}.{sees}")

    @hybrid.subcommand(persona, "words", "What a persona never says on Discord")
    @app_commands.describe(
        handle="whose voice", words="words or phrases with commas between them, in place of those before; or nothing"
    )
    @commands.guild_only()
    @commands.has_permissions(manage_guild=True)
    async def words(self, ctx: commands.Context[Any], handle: str, *, words: str = "") -> None:
        persona = await self._bot.talk.persona(handle)
        if not words.strip():
            blocked = await self._store.run(records.blocked_words, persona.id)
            lifts = " `words:nothing` lifts that." if blocked else ""
            await answer(ctx, f"{_limit(persona.handle, len(blocked))}{lifts}")
            return
        lifted = words.strip().casefold() in _NO_WORDS
        listed = [] if lifted else [folded(word) for word in words.split(",") if word.strip()]
        if not listed and not lifted:
            raise CommandError(f"{words.strip()[:20]!r} has no words.", "Write them with commas between them.")
        if len(listed) > MOST_BLOCKED_WORDS:
            raise CommandError(f"{len(listed)} words are too many.", f"Take up to {MOST_BLOCKED_WORDS}.")
        kept = await self._store.run(records.set_blocked_words, persona.id, listed)
        await answer(ctx, _limit(persona.handle, len(kept)))

    @hybrid.subcommand(persona, "allow", "What a persona's posts may hold, apart from what the settings say")
    @app_commands.describe(handle="whose posts", what="links, hashtags, mentions; nothing; or default")
    @allowed("administrate")
    async def allow(self, ctx: commands.Context[Any], handle: str, *, what: str = "") -> None:
        guard = self._bot.app.commands.guard
        found = await (guard.allow(handle, allowance_of(what.split())) if what else guard.allowed(handle))
        await answer(ctx, "\n".join(allowed_answer(found).lines))


def _limit(handle: str, blocked: int) -> str:
    """How many words are blocked, and not which: everybody may read it."""
    if not blocked:
        return f"No words are blocked for @{handle}."
    return f"{blocked} {'word is' if blocked == 1 else 'words are'} never said by @{handle} on Discord."
