"""A trainer as a subprocess of this machine: the job goes in on stdin, events come out of stdout, words go to a log."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import ValidationError

from bot.errors import TrainerFailed
from trainer.protocol import EVENT, AnyEvent, AnyJob, Failed

log = logging.getLogger(__name__)

STOP_WITHIN_S = 15.0
"""SIGTERM leaves ten seconds for a checkpoint; then it is ended."""
_LONGEST_LINE = 2**20


class Trainer:
    """One job under way."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def events(self) -> AsyncIterator[AnyEvent]:
        """What the trainer says, until it ends; what this bot does not understand is logged and passed over."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            try:
                yield EVENT.validate_json(line)
            except ValidationError:
                log.warning("An event of %d bytes from the trainer was not understood.", len(line))

    async def wait(self) -> int:
        """The exit status; negative for the signal that ended it."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to write its checkpoint and end; end it if it does not."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def launch(job: AnyJob, log_file: Path) -> Trainer:
    """Start a trainer on a job. It has a session of its own, so that Ctrl-C on the terminal is the bot's alone."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as words:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trainer",
            stdin=PIPE,
            stdout=PIPE,
            stderr=words,
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
    assert process.stdin is not None
    process.stdin.write(job.model_dump_json().encode() + b"\n")
    process.stdin.close()
    return Trainer(process)


async def errand(job: AnyJob, log_file: Path) -> list[AnyEvent]:
    """Have a short job done: what the trainer said, all of it. Its log stays only where it failed.

    Raises:
        TrainerFailed: with what the trainer said, or where its log is.
    """
    trainer = await launch(job, log_file)
    events: list[AnyEvent] = []
    try:
        async for event in trainer.events():
            if isinstance(event, Failed):
                raise TrainerFailed(event.message, event.hint)
            events.append(event)
        if await trainer.wait() != 0:
            raise TrainerFailed(f"The trainer ended before the {job.task} was done.", f"Its log is {log_file}.")
    finally:
        await trainer.stop()
    await asyncio.to_thread(log_file.unlink, missing_ok=True)
    return events
