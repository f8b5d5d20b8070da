"""The bot of `bench.loop`: `mynah run` as it is, with a probe that tells how late its event loop is.

Its lines are pairs of doubles in the file that BENCH_LAG names: the moment of `time.monotonic` at which the loop was to
come to a timer, and by how many seconds it came too late. The moments lie a fixed time apart, whatever happens: a loop
that is held for a second is late for every one of that second, not for one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import sys
import time
from pathlib import Path
from typing import BinaryIO

from bot import config
from bot.app import running
from bot.gateways import serving
from bot.settings import Settings

EVERY_S = 0.005
PAIR = struct.Struct("dd")


def main() -> int:
    """What `bot.cli` does for `run`, and the probe."""
    settings = config.load(config.find(Path.cwd()), os.environ)
    logging.basicConfig(level=settings.logging.level, format="%(levelname)s %(name)s: %(message)s")
    with Path(os.environ["BENCH_LAG"]).open("wb") as out:
        return asyncio.run(_run(settings, out))


async def _run(settings: Settings, out: BinaryIO) -> int:
    probe = asyncio.create_task(_probe(out))
    try:
        async with running(settings) as app:
            return await serving.serve(app, settings)
    finally:
        probe.cancel()


async def _probe(out: BinaryIO) -> None:
    due = time.monotonic() + EVERY_S
    while True:
        await asyncio.sleep(due - time.monotonic())
        now = time.monotonic()
        while due <= now:
            out.write(PAIR.pack(due, now - due))
            due += EVERY_S


def read_lags(file: Path, since: float, until: float) -> list[float]:
    """Seconds by which the loop was late between two moments of `time.monotonic`."""
    content = file.read_bytes()
    whole = content[: len(content) // PAIR.size * PAIR.size]
    return [late for due, late in PAIR.iter_unpack(whole) if since <= due < until]


if __name__ == "__main__":
    sys.exit(main())
