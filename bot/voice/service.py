"""The voice as the rest of the bot holds it: ask a speaker to speak, never wait on the loop.

Models live in worker processes, one an engine, started when first needed and again when they die. A question that a
dead worker leaves open is asked once more; after that its asker is told. Nothing here imports a model library.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import logging
import math
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from bot.errors import VoiceError
from bot.voice.base import Heard, Speaker, TextScore, ignore
from bot.voice.process import VoiceSettings, WorkerDied, WorkerProcess
from bot.voice.wire import Answer, EngineName, Load, Question, Score, Speak
from trainer.recipes import Sampling

logger = logging.getLogger(__name__)

_ATTEMPTS = 2
_REMEMBERED = 16
"""Of how many answers the time is averaged that is told to those who find the queue full."""


class Voice:
    """Use it as `async with Voice(settings) as voice`, or call `close` at the end."""

    def __init__(self, settings: VoiceSettings = VoiceSettings()) -> None:  # noqa: B008 - frozen
        self._settings = settings
        self._workers: dict[EngineName, WorkerProcess] = {}
        self._starting = asyncio.Lock()
        self._ids = itertools.count(1)
        self._asking = 0
        self._answer_s = 1.0
        self._closed = False

    async def warm(self, speaker: Speaker, timeout_s: float = 60.0) -> None:
        """Make a speaker ready, so that its first words come at once. Raises VoiceError."""
        await self._ask(Load(id=next(self._ids), speaker=speaker), timeout_s)

    async def speak(
        self,
        speaker: Speaker,
        prompt: str,
        count: int,
        seed: int,
        sampling: Sampling,
        timeout_s: float = 60.0,
        context: Sequence[str] = (),
        heard: Heard = ignore,
    ) -> list[str]:
        """Up to `count` different posts that begin with the prompt (one line, single spaces); at least one.

        `context` is what was said before, oldest first. The same seed gives the same posts. Of several posts, each is
        `heard` as soon as it is there; a few may be heard twice, where a worker died. Raises VoiceError.
        """
        question = Speak(
            id=next(self._ids),
            speaker=speaker,
            prompt=_sendable(prompt),
            count=count,
            seed=seed % 2**32,
            sampling=sampling,
            context=tuple(_sendable(text) for text in context),
        )
        return (await self._ask(question, timeout_s, heard)).texts

    async def logprobs(self, speaker: Speaker, texts: Sequence[str], timeout_s: float = 600.0) -> list[TextScore]:
        """One score a text, in order. Raises VoiceError."""
        question = Score(id=next(self._ids), speaker=speaker, texts=list(texts))
        return (await self._ask(question, timeout_s)).scores

    async def close(self) -> None:
        """End the workers and wait for them. What is still asked fails with VoiceError."""
        self._closed = True
        async with self._starting:
            workers = list(self._workers.values())
            self._workers.clear()
        await asyncio.gather(*(worker.close() for worker in workers))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, question: Question, timeout_s: float, heard: Heard = ignore) -> Answer:
        if self._asking >= self._settings.waiting:
            raise VoiceError(
                f"The voice already has {self._asking} requests waiting.",
                f"Try again in about {math.ceil(self._answer_s)} s.",
            )
        self._asking += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._ask_engines(question, heard)
            self._answer_s += (time.monotonic() - began - self._answer_s) / _REMEMBERED
            return answer
        except TimeoutError:
            raise VoiceError(
                f"{question.speaker.key} did not answer within {timeout_s:g} s.", "Try again, or ask for fewer posts."
            ) from None
        finally:
            self._asking -= 1

    async def _ask_engines(self, question: Question, heard: Heard) -> Answer:
        """The first engine that can take the speaker answers."""
        refusal = "There is no model for it."
        for engine in _engines(question.speaker):
            answer = await self._ask_engine(engine, question, heard)
            if answer.failure is None:
                return answer
            if answer.failure.kind != "unsupported":
                raise VoiceError(answer.failure.message, answer.failure.hint)
            refusal = answer.failure.message
        raise VoiceError(
            f"{question.speaker.key} cannot speak here. {refusal}", "Export it, so that the plain engine can load it."
        )

    async def _ask_engine(self, engine: EngineName, question: Question, heard: Heard) -> Answer:
        for _ in range(_ATTEMPTS):
            worker = await self._worker(engine)
            try:
                return await worker.ask(question, heard)
            except WorkerDied:
                logger.warning("The %s voice worker ended in the middle of a request.", engine)
        raise VoiceError(
            f"The voice stopped {_ATTEMPTS} times while it was answering.",
            "Try again; if it goes on, `mynah doctor` looks at memory and the model's files.",
        )

    async def _worker(self, engine: EngineName) -> WorkerProcess:
        async with self._starting:
            if self._closed:
                raise VoiceError("The voice is closed.", "Start Mynah again.")
            worker = self._workers.get(engine)
            if worker is not None and worker.alive:
                return worker
            if worker is not None:
                await worker.close()
            try:
                worker = await WorkerProcess.launch(engine, self._settings)
            except OSError as error:
                raise VoiceError(
                    f"The voice's process cannot be started: {error.strerror}.", "Check memory and process limits."
                ) from error
            self._workers[engine] = worker
            return worker


def _sendable(text: str) -> str:
    """A terminal may hand over half characters, which no encoding can send."""
    return text.encode("utf-8", "replace").decode()


def _engines(speaker: Speaker) -> list[EngineName]:
    """The engines to try, best first. llama.cpp has no wheel for some machines; the plain engine serves there."""
    engines: list[EngineName] = []
    if speaker.base is not None and importlib.util.find_spec("xllamacpp") is not None:
        engines.append("llamacpp")
    if speaker.model is not None:
        engines.append("plain")
    return engines
