"""The composition root: builds every part, passes each what it needs, starts and stops them in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bot import bundled
from bot.cloning import Cloning
from bot.commands import Commands
from bot.data_folder import DataFolder
from bot.live_settings import LiveSettings
from bot.settings import Settings
from bot.speakers import Speakers
from bot.voice.process import VoiceSettings
from bot.voice.service import Voice
from storage.database import Reader, Store, Writer


@dataclass(frozen=True, slots=True)
class App:
    """The running parts, for gateways and the command line."""

    commands: Commands
    cloning: Cloning
    store: Store
    live: LiveSettings

    async def reload(self) -> str:
        """Read config.toml anew; what changed.

        Raises:
            SettingsError: with nothing changed.
        """
        return await asyncio.to_thread(self.live.reload, os.environ)


@asynccontextmanager
async def running(settings: Settings, *, make_clones: bool = True) -> AsyncIterator[App]:
    """The whole bot on its data folder, which is its own as long as this lasts; on request, clones in line wait.

    Raises:
        MynahError: where it cannot start whole.
    """
    folder = DataFolder(settings.data_dir)
    with folder.held():
        async with _opened(Writer(folder.database)) as store:
            await store.run(bundled.install)
            async with _parts(settings, store) as app:
                await app.commands.people.sweep()
                async with AsyncExitStack() as at_work:
                    for work in _works(app) if make_clones else ():
                        await at_work.enter_async_context(work)
                    yield app


def _works(app: App) -> Iterator[AbstractAsyncContextManager[None]]:
    """What goes on by itself as long as the bot runs, in the order in which it starts."""
    commands = app.commands
    yield app.live.watched(commands.notices)
    yield app.cloning.working()
    yield commands.guard.working()
    yield commands.x_account.connected()
    yield commands.posting.working()
    yield commands.runner.working()
    yield commands.x_replies.working()


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[App]:
    """What speaks and lists, beside a bot that may be running: the database is only read.

    Raises:
        StorageError: where there is no database yet.
    """
    async with _opened(Reader(DataFolder(settings.data_dir).database)) as store, _parts(settings, store) as app:
        yield app


@asynccontextmanager
async def _opened(store: Store) -> AsyncIterator[Store]:
    await store.start()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _parts(settings: Settings, store: Store) -> AsyncIterator[App]:
    async with Voice(voice_settings(settings)) as voice:
        live = LiveSettings(settings)
        settings = live.as_settings()
        cloning = Cloning(settings, store)
        yield App(Commands(settings, store, voice, Speakers(settings, store), cloning), cloning, store, live)


def voice_settings(settings: Settings) -> VoiceSettings:
    """How the voice is sized on this machine."""
    shape = settings.voice
    return VoiceSettings(
        slots=shape.parallel,
        context_tokens=shape.context_tokens,
        threads=shape.threads,
        adapters=shape.max_adapters,
        waiting=shape.queue,
    )
