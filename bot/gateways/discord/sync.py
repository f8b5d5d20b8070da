"""The commands that Discord shows: sent when they changed, since creating them is limited to 200 a day."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import discord
from discord import app_commands

from storage import discord_commands
from storage.database import Store

log = logging.getLogger(__name__)


async def sync_where_changed(tree: app_commands.CommandTree[Any], store: Store, trial_guild: str = "") -> bool:
    """Send the commands unless the same were sent before; True where they were sent."""
    scope = trial_guild or "global"
    digest = await _digest(tree)
    if await store.run(discord_commands.synced, scope) == digest:
        return False
    try:
        await sync(tree, trial_guild)
    except discord.HTTPException as error:  # the bot works with the commands that Discord has
        log.warning(
            "Discord did not take the commands: %s, code %s. The next start tries again.",
            error.status,
            error.code,
        )
        return False
    await store.run(discord_commands.keep_synced, scope, digest)
    return True


async def sync(tree: app_commands.CommandTree[Any], trial_guild: str = "") -> int:
    """Send all commands, to everybody or to one server, where they appear at once; how many there are."""
    if not trial_guild:
        return len(await tree.sync())
    guild = discord.Object(int(trial_guild))
    tree.copy_global_to(guild=guild)
    return len(await tree.sync(guild=guild))


async def _digest(tree: app_commands.CommandTree[Any]) -> str:
    commands = [command.to_dict(tree) for command in tree.get_commands()]
    ordered = sorted(commands, key=lambda command: str(command["name"]))
    return hashlib.sha256(json.dumps(ordered, sort_keys=True, default=str).encode()).hexdigest()
