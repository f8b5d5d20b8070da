"""Keeps the client on Discord for months: whatever ends it, it is started again, unless Discord will not have it.

An event that discord.py cannot parse, and a network that fails while it logs in, end the client for good
(DISCORD.md sections 1 and 9), so that a new one takes its place. Each costs an IDENTIFY, of which Discord allows 1,000
in 24 hours: the pauses grow to a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import logging
import time

import aiohttp
import discord
from pydantic import SecretStr

from bot.app import App
from bot.errors import DiscordError, place_of
from bot.gateways.discord import sync
from bot.gateways.discord.bot import MynahBot, hush, point_at
from bot.gateways.discord.sender import DiscordSender
from bot.guard.unsaid import ON_DISCORD
from bot.settings import Settings

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 900.0
STEADY_AFTER_S = 600.0
"""A client that lasted so long is no sign of trouble when it ends."""
_FINAL_CODES = {
    4004: "Discord refused the token.",
    4010: "Discord refused the shard.",
    4011: "Discord asks for shards.",
    4012: "Discord no longer speaks this version of its gateway.",
    4013: "Discord does not know one of the intents.",
}


class Supervisor:
    """One client after another, as long as `serve` runs."""

    def __init__(self, app: App, settings: Settings, *, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self._app = app
        self._settings = settings
        self._first_pause_s = first_pause_s
        self._sender = DiscordSender()
        for kind in ON_DISCORD:
            app.commands.posting.register(kind, self._sender)
        self.bot: MynahBot | None = None
        """The client of now."""

    async def serve(self) -> None:
        """Be on Discord until cancelled.

        Raises:
            DiscordError: where starting again cannot help.
        """
        token = self._settings.tokens.discord_token
        assert token is not None, "whoever serves Discord has a token"
        hush()
        point_at(self._settings.discord.base_url)
        pause = self._first_pause_s
        while True:
            began = time.monotonic()
            await self._one_client(token)
            if time.monotonic() - began > STEADY_AFTER_S:
                pause = self._first_pause_s
            log.warning("Mynah is not on Discord; it tries again in %.0f s.", pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _one_client(self, token: SecretStr) -> None:
        """From log-in to whatever ends it; back where another may fare better."""
        self.bot = MynahBot(self._app, self._settings, self._sender)
        try:
            async with self.bot:
                await self.bot.start(token.get_secret_value())
        except discord.LoginFailure:
            raise _refused_token() from None
        except discord.PrivilegedIntentsRequired:
            raise DiscordError(
                "Discord does not let this bot read messages.",
                "Switch the message-content intent on in the developer portal, page Bot, or set "
                "discord.message_content = false in config.toml.",
            ) from None
        except discord.ConnectionClosed as error:
            if error.code in _FINAL_CODES:
                hint = f"Its code is {error.code}: see Discord's list of Gateway close event codes."
                raise DiscordError(_FINAL_CODES[error.code], hint) from None
            log.warning("Discord closed the connection with code %s.", error.code)
        except Exception as error:  # noqa: BLE001 - whatever discord.py could not parse must not end the bot
            log.error("The Discord client met %s at %s.", type(error).__name__, place_of(error))
        finally:
            self.bot = None


async def sync_commands(app: App, settings: Settings, guild: str) -> int:
    """Send the commands to Discord, whether they changed or not; how many there are.

    Raises:
        DiscordError: where it does not take them.
    """
    token = settings.tokens.discord_token
    if token is None:
        raise DiscordError("There is no DISCORD_TOKEN.", "Set it, or DISCORD_TOKEN_FILE; see docs/discord.md.")
    if guild and not guild.isdecimal():
        raise DiscordError(
            f"{guild!r} is no id of a server.", "Discord's developer mode copies ids, such as 80351110224678912."
        )
    hush()
    point_at(settings.discord.base_url)
    try:
        async with MynahBot(app, settings, DiscordSender()) as bot:
            await bot.login(token.get_secret_value())
            return await sync.sync(bot.tree, guild)
    except discord.LoginFailure:
        raise _refused_token() from None
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        raise DiscordError(f"Discord did not take the commands ({error}).", "Try again in a while.") from None


def _refused_token() -> DiscordError:
    return DiscordError(
        "Discord refused the token.", "Copy it anew from the developer portal, page Bot, into DISCORD_TOKEN."
    )
