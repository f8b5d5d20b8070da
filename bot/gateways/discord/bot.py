"""The client: what it asks Discord for, what it keeps in memory, and which commands it brings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.app import App
from bot.gateways.discord import errors, sync
from bot.gateways.discord.buttons import answer_stale
from bot.gateways.discord.cogs import COGS
from bot.gateways.discord.progress import Pace, Progress
from bot.gateways.discord.quotas import Quotas
from bot.gateways.discord.sender import DiscordSender
from bot.gateways.discord.talk import Talk
from bot.settings import Settings

log = logging.getLogger(__name__)

_GOOD_BYE_S = 2.0


class MynahBot(commands.AutoShardedBot):
    """One connection of the app to Discord; a new one is made where this one fails (`supervisor`)."""

    pace = Pace()
    """Of the messages that tell of clones."""

    def __init__(self, app: App, settings: Settings, sender: DiscordSender) -> None:
        super().__init__(
            command_prefix=_prefix,
            tree_cls=errors.Tree,
            help_command=None,  # ours is `cogs/help.py`
            intents=intents(settings),
            allowed_mentions=discord.AllowedMentions.none(),
            # An idle guild costs 27 KiB so: no members, no messages (DISCORD.md section 9).
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            max_ratelimit_timeout=300.0,
        )
        self.app = app
        self.settings = settings
        self.talk = Talk(self)
        self.quotas = Quotas(self)
        self._sender = sender
        self._working: set[commands.Context[Any]] = set()
        self.before_invoke(self._begin)
        self.after_invoke(self._end)

    async def setup_hook(self) -> None:
        """Before anything is received: cogs, buttons of before, and the commands that Discord shows."""
        for cog in COGS:
            await self.add_cog(cog(self))
        await sync.sync_where_changed(self.tree, self.app.store, self.settings.discord.trial_guild)
        if self.settings.discord.base_url:
            # Whatever the API names, discord.py begins its later sessions at an address of its own.
            _, url, _ = await self.http.get_bot_gateway()
            DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url)
        self._sender.bot = self

    async def close(self) -> None:
        """Nothing is sent through it any more; whoever waits for an answer is told."""
        self._sender.bot = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOOD_BYE_S):
                await asyncio.gather(*(errors.break_off(ctx) for ctx in self._working))
        await super().close()

    async def _begin(self, ctx: commands.Context[Any]) -> None:
        self._working.add(ctx)

    async def _end(self, ctx: commands.Context[Any]) -> None:
        self._working.discard(ctx)

    @property
    def progress(self) -> Progress:
        """The messages in which clones are told of."""
        cog = self.get_cog(Progress.__cog_name__)
        assert isinstance(cog, Progress)
        return cog

    async def on_ready(self) -> None:
        how = (
            f"{self.settings.discord.prefix} and slash commands"
            if self.intents.message_content
            else (
                "slash commands, and commands after a mention; for the prefix, switch the message-content intent on in "
                "the developer portal and set discord.message_content = true"
            )
        )
        log.info("On Discord as %s in %d servers. It hears %s.", self.user, len(self.guilds), how)

    async def on_command_error(self, context: commands.Context[Any], error: commands.CommandError, /) -> None:
        if not self.is_closed():  # else nobody can be told any more
            await errors.on_command_error(context, error)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        await answer_stale(interaction)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        errors.log_mistake(f"The event {event_method}")


def intents(settings: Settings) -> discord.Intents:
    """Servers, messages and direct messages; what messages say only where the owner has switched that on."""
    asked = discord.Intents.none()
    asked.guilds = asked.guild_messages = asked.dm_messages = True
    asked.message_content = settings.discord.message_content
    return asked


def hush() -> None:
    """Of what discord.py warns at every start, nothing is wrong: Mynah has no use for voice channels, and says itself
    which commands it hears."""
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
    logging.getLogger("discord.ext.commands.bot").setLevel(logging.ERROR)
    # At DEBUG it writes what people say, and tokens of webhooks and interactions.
    logging.getLogger("discord").setLevel(max(logging.INFO, logging.getLogger().getEffectiveLevel()))
    for handler in logging.getLogger().handlers:
        handler.addFilter(_in_a_line)


def _in_a_line(record: logging.LogRecord) -> bool:
    """What discord.py logs with a traceback is told by its type: it is the network's doing, as a rule."""
    if record.name.startswith("discord") and record.exc_info and record.exc_info[0] is not None:
        record.msg, record.args = f"{record.getMessage()} ({record.exc_info[0].__name__})", ()
        record.exc_info = record.exc_text = None
    return True


def point_at(base_url: str) -> None:
    """Have discord.py talk to another server than Discord's: its address is a class attribute."""
    if base_url:
        Route.BASE = base_url


def _prefix(bot: commands.Bot, message: discord.Message) -> list[str]:
    """A mention always; the prefix where the bot may read what messages say, and in direct messages."""
    assert isinstance(bot, MynahBot)
    mentions = commands.when_mentioned(bot, message)
    if not bot.intents.message_content and message.guild is not None:
        return mentions
    return [*mentions, bot.settings.discord.prefix_in(message.guild.id if message.guild is not None else None)]
