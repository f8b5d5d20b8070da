"""A persona speaks, and only what may leave is heard; the rest is written anew, a limited number of times.

Why texts were refused is counted; what they said is kept nowhere.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.errors import GuardError, VoiceError
from bot.guard.guard import Guard, Verdict
from bot.guard.reranker import Reranker
from bot.guard.rules import SENTENCES, Reason
from bot.settings import Settings
from bot.speakers import Ready, Speakers
from bot.voice.base import Heard, ignore
from bot.voice.service import Voice
from storage import choices, consents
from storage.database import Reader, Store
from storage.personas import Persona

_SEEDS = 2**31
_DRAWS = 1_000
"""More seeds than the voice uses for one request: another round begins after them."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A post that may leave, and who wrote it."""

    text: str
    version: int
    clone_id: str
    seed: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Nothing that was written may leave."""

    reasons: tuple[tuple[Reason, int], ...]
    """Each with its number of texts, the commonest first."""

    @property
    def reason(self) -> str:
        """For a person."""
        written = sum(times for _, times in self.reasons)
        counted = ", ".join(f"{reason} ({times})" for reason, times in self.reasons)
        return f"None of {written} texts may leave: {counted}. {SENTENCES[self.reasons[0][0]]}"


class Guarded:
    """The voice, behind the guard."""

    def __init__(
        self, settings: Settings, store: Store, speakers: Speakers, voice: Voice, guard: Guard, reranker: Reranker
    ) -> None:
        self._settings = settings
        self._store = store
        self._speakers = speakers
        self._voice = voice
        self._guard = guard
        self._reranker = reranker

    async def speak(
        self,
        persona: Persona,
        prompt: str = "",
        *,
        target: str = "x",
        seed: int | None = None,
        context: Sequence[str] = (),
    ) -> Spoken | Rejected:
        """One post that may leave, the most promising of several; `context` is what was said before, oldest first.

        Raises:
            NoConsent, NotFound, StorageError, TrainerFailed, VoiceError: where the persona cannot speak, or may not.
        """
        ready = await self._speakers.find(persona.handle)
        await self._store.run(consents.refuse_beyond, ready.persona.id, "post")
        seed = secrets.randbelow(_SEEDS) if seed is None else seed
        refused: Counter[Reason] = Counter()
        for attempt in range(self._settings.guard.rounds):
            count = self._settings.guard.candidates
            texts = await self._say(ready, prompt, count, seed + attempt * _DRAWS, context)
            verdicts = [(text, await self._guard.check(text, ready.persona, target=target)) for text in texts]
            refused.update(_reasons(verdict for _, verdict in verdicts))
            if may_leave := [text for text, verdict in verdicts if verdict.ok]:
                best = await self._reranker.ordered(may_leave, await self._guard.profile(ready.persona))
                await self._count(persona, refused)
                return Spoken(best[0], ready.clone.version, ready.clone.id, seed)
        await self._count(persona, refused)
        return Rejected(tuple(refused.most_common()))

    async def say(
        self,
        ready: Ready,
        prompt: str,
        count: int,
        seed: int,
        context: Sequence[str] = (),
        heard: Heard = ignore,
    ) -> list[str]:
        """Up to `count` texts that are nobody's yet, for whoever asked; at least one. The same seed says the same.

        `context` is what was said before, oldest first. Each text is `heard` as soon as it has passed; what goes wrong
        after that ends in fewer texts.

        Raises:
            GuardError: where everything that came out is somebody's already, or that cannot be told.
            NoConsent, StorageError, TrainerFailed, VoiceError.
        """
        await self._store.run(consents.refuse_beyond, ready.persona.id, "speak")
        said: list[str] = []
        refused: Counter[Reason] = Counter()

        def passed(text: str) -> None:
            if text not in said and len(said) < count:
                said.append(text)
                heard(text)

        for attempt in range(self._settings.guard.rounds):
            each = self._each(ready, prompt, count - len(said), seed + attempt * _DRAWS, context)
            refusals: list[Verdict] = []
            try:
                await self._sift(each, ready.persona, prompt, passed, refusals.append)
            except VoiceError:
                if not said:
                    raise
                break
            finally:
                refused.update(reasons := _reasons(refusals))
            if not reasons or len(said) == count:
                break
            if "cannot tell" in reasons:
                if said:
                    break
                detail = next(verdict.detail for verdict in refusals if verdict.reason == "cannot tell")
                raise GuardError("Nothing can be said now.", detail)
        await self._count(ready.persona, refused)
        if not said:
            raise GuardError(
                f"All {refused.total()} texts that @{ready.persona.handle} came up with are somebody's posts already, "
                "or nearly so.",
                "Try another prompt, or another seed; a persona that learned from few posts repeats them.",
            )
        return said

    async def _sift(
        self,
        each: AsyncGenerator[str],
        persona: Persona,
        prompt: str,
        passed: Callable[[str], None],
        refused: Callable[[Verdict], None],
    ) -> None:
        """Each text to one of the two, as soon as it is written."""
        async with aclosing(each) as texts:
            async for text in texts:
                verdict = await self._guard.check_originality(text, persona, prompt=prompt)
                if verdict.ok:
                    passed(text)
                else:
                    refused(verdict)

    async def _each(
        self, ready: Ready, prompt: str, count: int, seed: int, context: Sequence[str]
    ) -> AsyncGenerator[str]:
        """What `_say` gives, each text as soon as it is written."""
        written: asyncio.Queue[str | None] = asyncio.Queue()
        saying = asyncio.ensure_future(self._say(ready, prompt, count, seed, context, written.put_nowait))
        saying.add_done_callback(lambda _: written.put_nowait(None))
        given: set[str] = set()  # a worker that died is followed by one that begins anew
        try:
            while (text := await written.get()) is not None:
                if text not in given:
                    given.add(text)
                    yield text
            for text in await saying:
                if text not in given:
                    yield text
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)

    async def _say(
        self, ready: Ready, prompt: str, count: int, seed: int, context: Sequence[str], heard: Heard = ignore
    ) -> list[str]:
        speaker = await self._speakers.speaker(ready)
        timeout_s, sampling = self._settings.voice.timeout_s, ready.recipe.sampling
        return await self._voice.speak(speaker, prompt, count, seed, sampling, timeout_s, context, heard)

    async def _count(self, persona: Persona, refused: Counter[Reason]) -> None:
        if isinstance(self._store, Reader):
            return
        for reason, times in refused.items():
            await self._store.run(choices.count_refusal, persona.id, reason, times, datetime.now(UTC))


def _reasons(verdicts: Iterable[Verdict]) -> list[Reason]:
    return [verdict.reason for verdict in verdicts if verdict.reason is not None]
