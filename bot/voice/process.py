"""One voice worker as the bot holds it: a child process, the questions it has not answered, and its pipe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bot.voice.base import Heard, ignore
from bot.voice.wire import Answer, Cancel, EngineName, Question, to_line

logger = logging.getLogger(__name__)

_LONGEST_LINE_BYTES = 1 << 26
_PATIENCE_S = 5.0
"""How long a worker may take to end once its stdin is closed, and again once it was sent SIGTERM."""

_ENVIRONMENT = {
    # OpenMP's threads spin for each other by default: beside a busy process 40 tokens then take 20 s instead of 0.6.
    # Not at all, two cores gain a fifth on one; this long, which is microseconds, four fifths.
    "GOMP_SPINCOUNT": "2000",
    # glibc keeps what a closed server leaves behind, 60 MB each; blocks of their own go back to the system.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 18),
}
"""What a worker's libraries need to know before they load; the person's own environment wins."""


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """How the voice is sized. `threads` 0 takes all physical cores; `waiting` is the most requests at one time."""

    slots: int = 8
    """Samples made at once."""
    context_tokens: int = 256
    """Of one sample or scored text, with what is around it."""
    threads: int = 0
    adapters: int = 4
    """Kept ready on one base; each takes about 30 MB at rank 16."""
    waiting: int = 64


class WorkerDied(Exception):
    """The worker ended before it answered. Stays inside the voice, which starts another one."""


class WorkerProcess:
    """A running worker. Made by `launch`; ended by `close`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, tuple[asyncio.Future[Answer], Heard]] = {}
        self._listening = asyncio.create_task(self._listen())
        self._overhearing = asyncio.create_task(self._overhear())
        self._dead = False

    @classmethod
    async def launch(cls, engine: EngineName, settings: VoiceSettings) -> WorkerProcess:
        """Start a worker. Raises OSError where the process cannot be started."""
        process = await asyncio.create_subprocess_exec(
            *_command(engine, settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE_BYTES,
            cwd=Path(__file__).parents[2],
            env={**_ENVIRONMENT, **os.environ},
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        return not self._dead and self._process.returncode is None

    async def ask(self, question: Question, heard: Heard = ignore) -> Answer:
        """Wait for the answer to a question. Raises WorkerDied; a cancelled wait is told to the worker."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if not self.alive:
            raise WorkerDied
        self._waiting[question.id] = answer, heard
        try:
            await self._write(to_line(question))
            return await answer
        finally:
            del self._waiting[question.id]
            if answer.cancelled() or not answer.done():
                self._tell_cancelled(question.id)

    async def close(self) -> None:
        """End the process, whatever it takes, and wait for it."""
        self._dead = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        for insist in (self._process.terminate, self._process.kill):
            try:
                await asyncio.wait_for(self._process.wait(), _PATIENCE_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    insist()
        await self._process.wait()
        await asyncio.gather(self._listening, self._overhearing)

    async def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise WorkerDied from error

    def _tell_cancelled(self, request_id: int) -> None:
        if self.alive and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(to_line(Cancel(id=request_id)))

    async def _listen(self) -> None:
        """Hand each answer to who waits for it; at the end of the stream tell the others that none will come."""
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                answer = Answer.model_validate_json(line)
                waiting, heard = self._waiting.get(answer.id, (None, ignore))
                if waiting is None or waiting.done():
                    continue
                if answer.more:
                    heard(*answer.texts)
                else:
                    waiting.set_result(answer)
        except (ValidationError, ValueError) as error:
            logger.error("A voice worker wrote something else than an answer (%s).", type(error).__name__)
        finally:
            self._dead = True
            for waiting, _ in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(WorkerDied())

    async def _overhear(self) -> None:
        """What libraries complain about, for the log. They are kept from printing any text they are given."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            logger.warning("voice worker: %s", line.decode(errors="replace").rstrip())


def _command(engine: EngineName, settings: VoiceSettings) -> Sequence[str]:
    options = {
        "--slots": settings.slots,
        "--context-tokens": settings.context_tokens,
        "--threads": settings.threads,
        "--adapters": settings.adapters,
    }
    flags = [part for name, value in options.items() for part in (name, str(value))]
    return [sys.executable, "-m", "bot.voice.worker", engine, *flags]
