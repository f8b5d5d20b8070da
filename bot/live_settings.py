"""config.toml is read anew while the bot runs: a good edit is in force at once, a bad one leaves the old settings."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from bot import config
from bot.errors import SettingsError
from bot.notices import Notices
from bot.settings import Settings, setting_keys
from bot.x.terms import TERMS

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0

_AT_START = (
    "data_dir",
    "voice.threads",
    "voice.max_adapters",
    "voice.parallel",
    "voice.context_tokens",
    "voice.queue",
    "x.base_url",
    "discord.base_url",
    "discord.message_content",
    "discord.trial_guild",
    "logging.level",
)
"""What a running part was built with."""


class LiveSettings:
    """Stands where `Settings` stand, and is always the settings in force."""

    def __init__(self, settings: Settings) -> None:
        self._now = settings

    def __getattr__(self, name: str) -> object:
        return getattr(self._now, name)

    def as_settings(self) -> Settings:
        """For parts that are built once and read a setting whenever they need it."""
        return cast(Settings, self)

    def reload(self, environ: Mapping[str, str]) -> str:
        """Read the file again. What changed, in a sentence or two.

        Raises:
            SettingsError: for a file with mistakes; nothing changed then.
        """
        old, file = self._now, self._now.config_file
        if file is None:
            raise SettingsError("No config.toml was read at the start.", "Start Mynah in its folder, or with --config.")
        new = config.load(file, environ).model_copy(update={"tokens": old.tokens})
        changed = [key for key in setting_keys() if _value(old, key) != _value(new, key)]
        if old.recipes != new.recipes:
            changed.append("recipes")
        later = [key for key in changed if key in _AT_START]
        self._now = new.model_copy(update={"data_dir": old.data_dir})
        if not changed:
            return "config.toml was read; nothing in it changed."
        waits = f" Only at the next start: {', '.join(later)}." if later else ""
        terms = f" Mind: {TERMS}" if new.x.train_on_api_content and not old.x.train_on_api_content else ""
        return f"config.toml was read; changed: {', '.join(changed)}.{waits}{terms}"

    @asynccontextmanager
    async def watched(self, notices: Notices) -> AsyncIterator[None]:
        """Read the file whenever it is edited, and tell the owner what came of it."""
        watching = asyncio.create_task(self._watch(notices), name="settings")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, notices: Notices) -> None:
        file = self._now.config_file
        if file is None:
            return
        seen = await asyncio.to_thread(_stamp, file)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = await asyncio.to_thread(_stamp, file)
            if now in (seen, None):  # an editor may take the file away for a moment
                continue
            seen = now
            try:
                await notices.tell("settings", await asyncio.to_thread(self.reload, os.environ))
            except SettingsError as error:
                await notices.tell("settings", f"The settings of before stay in force. {error.message}", error.hint)


def _value(settings: Settings, key: str) -> object:
    value: object = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
