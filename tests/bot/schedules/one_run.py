"""A bot that runs schedules and nothing else, on a database, until it is killed: for tests that kill it.

It says `writing` when its author has begun, and dies there where it is told to: then nothing was decided yet.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from bot.requests import RefreshRequest
from bot.schedules.runner import Runner, Written
from storage.database import Writer
from storage.personas import Persona


class Author:
    def __init__(self, dies: bool) -> None:
        self._dies = dies

    async def write(self, persona: Persona, prompt: str, target: str, due_at: datetime) -> Written:
        if self._dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return Written(f"Due at {due_at:%H:%M:%S}.", None)


async def _no_refresh(request: RefreshRequest) -> None:
    raise AssertionError("nothing is to be refreshed here")


async def main(path: Path, dies: str) -> None:
    decided = asyncio.Event()

    def just_decided() -> None:
        if dies == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        decided.set()

    store = Writer(path)
    await store.start()
    async with Runner(store, Author(dies == "before"), _no_refresh, just_decided).working():
        await asyncio.wait_for(decided.wait(), 20)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
