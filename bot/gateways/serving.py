"""Where `mynah run` is heard: on Discord where there is a token, on the console where there is somebody at it."""

from __future__ import annotations

import asyncio
import signal
import sys

from bot.app import App
from bot.gateways import console
from bot.settings import Settings


async def serve(app: App, settings: Settings) -> int:
    """Serve until it is told to stop; the exit status.

    Raises:
        MynahError: where Discord will not have this bot.
    """
    if settings.tokens.discord_token is None:
        return await console.serve(app, settings)
    # Here, since a bot without a token has no use for discord.py's half second and megabytes.
    from bot.gateways.discord.supervisor import Supervisor

    on_discord = asyncio.create_task(Supervisor(app, app.live.as_settings()).serve(), name="discord")
    at_hand = asyncio.create_task(_at_hand(app, settings), name="console")
    try:
        done, _ = await asyncio.wait((on_discord, at_hand), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # raises what ended it
        return at_hand.result() if at_hand in done else 0
    finally:
        for task in (on_discord, at_hand):
            task.cancel()
        await asyncio.gather(on_discord, at_hand, return_exceptions=True)


async def _at_hand(app: App, settings: Settings) -> int:
    """The console on a terminal; a service has none, and goes on until SIGTERM."""
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        return await console.serve(app, settings)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    return 0
