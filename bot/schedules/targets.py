"""Where schedules post to, and what may still be missing there."""

from __future__ import annotations

from sqlite_utils import Database

from bot.settings import Settings
from bot.x.access import KEYS, account_access
from storage import discord
from storage.database import Store


async def what_is_missing(target: str, settings: Settings, store: Store) -> str:
    """Why nothing can be posted there yet, in a sentence; empty where nothing is known to be missing."""
    kind, _, id = target.partition(":")
    if kind == "x" and await account_access(settings) is None:
        return f"Nothing can be posted to X until {KEYS} are set, or `mynah x login` is done."
    if kind in ("discord", "webhook") and settings.tokens.discord_token is None:
        return "Nothing can be posted on Discord until DISCORD_TOKEN is set."
    if kind == "webhook" and not await store.run(_is_ours, id):
        return f"Nothing can be posted to {target} until there is such a webhook of Mynah; discord:CHANNEL needs none."
    return ""


def _is_ours(db: Database, id: str) -> bool:
    return id.isdecimal() and discord.webhook_by_id(db, int(id)) is not None
