"""Many ask at once: everybody gets one answer, from the persona that they asked, and nobody waits for the longest."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import psutil
import pytest

from bot.errors import VoiceError
from bot.voice.base import Speaker
from bot.voice.batching import Asker, Batcher
from bot.voice.cores import Cores
from bot.voice.llama_base import LlamaBase, LlamaContext
from bot.voice.process import VoiceSettings
from bot.voice.service import Voice
from tests.tiny import tiny_lora
from trainer.recipes import Sampling

SURE = Sampling(temperature=0.1, top_k=1, min_tokens=0, max_tokens=12)
"""Always the likeliest token: a persona has one text for each prompt."""
LONG = Sampling(min_tokens=4, max_tokens=250)
PERSONAS = 6
CALLERS = 64


@pytest.fixture(scope="module")
def personas(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Speaker]:
    folder = tmp_path_factory.mktemp("crowd")
    return [
        Speaker(f"persona {seed}", tiny_llama, tiny_lora(folder / str(seed), tiny_llama, seed=seed))
        for seed in range(PERSONAS)
    ]


async def test_each_of_64_callers_hears_its_own_persona_once(personas: list[Speaker]) -> None:
    """Fewer adapters are kept than personas are asked, some callers go away, and the worker is killed."""
    chance = random.Random(5)
    async with Voice(VoiceSettings(slots=8, context_tokens=256, threads=1, adapters=2, waiting=CALLERS)) as voice:
        own = [await voice.speak(persona, "My", 1, 1, SURE) for persona in personas]
        assert len({text for (text,) in own}) == PERSONAS

        asked = [asyncio.create_task(voice.speak(personas[n % PERSONAS], "My", 1, n, SURE)) for n in range(CALLERS)]
        gone = set(chance.sample(range(CALLERS), 16))
        for number in gone:
            asyncio.get_running_loop().call_later(chance.uniform(0, 0.2), asked[number].cancel)
        asyncio.get_running_loop().call_later(0.1, _kill_the_worker)
        heard = await asyncio.gather(*asked, return_exceptions=True)

        for number, answer in enumerate(heard):
            assert answer == own[number % PERSONAS] or (number in gone and isinstance(answer, asyncio.CancelledError))
        assert await voice.speak(personas[0], "My", 1, 1, SURE) == own[0]


def test_where_memory_is_enough_for_one_core_alone_all_of_it_is_freed(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = LlamaBase(tiny_llama)
    made = iter([base.context(2, 64)])

    def context(slots: int, context_tokens: int) -> LlamaContext:
        if (first := next(made, None)) is None:
            raise VoiceError("llama.cpp cannot load it.", "Close other programs.")
        return first

    freed: list[bool] = []
    monkeypatch.setattr(base, "context", context)
    monkeypatch.setattr(base, "close", lambda: freed.append(_decoding()))
    with pytest.raises(VoiceError):
        Cores(base, 2, 4, 64)
    assert freed == [False], "nothing decodes on a base that is freed"


@pytest.mark.parametrize("times", [1, 12], ids=["a prompt of one turn", "a prompt of several turns"])
def test_each_sample_of_a_request_goes_on_from_the_whole_prompt(tiny_llama: Path, times: int) -> None:
    base = LlamaBase(tiny_llama)
    batcher = Batcher(base, slots=4, context_tokens=256)
    asker = Asker(None, threading.Event())
    for prompt in ("My dream is the", "I think that the", "We had 12 the", "It's a good the"):
        ids = [0, *base.tokenize(prompt * times)]
        (alone,) = batcher.write(ids, 1, [1], SURE, asker)
        assert [one.result() for one in batcher.write(ids, 1, range(6), SURE, asker)] == [alone.result()] * 6
    batcher.close()
    base.close()


async def test_a_short_request_does_not_wait_for_a_long_one(personas: list[Speaker]) -> None:
    async with Voice(VoiceSettings(slots=2, context_tokens=256, threads=1)) as voice:
        await voice.warm(personas[1])
        long = asyncio.create_task(voice.speak(personas[0], "My", 40, 1, LONG))
        await asyncio.sleep(0.1)

        assert await voice.speak(personas[1], "My", 1, 1, SURE)
        assert not long.done()

        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long


async def test_a_full_queue_says_when_to_try_again(personas: list[Speaker]) -> None:
    async with Voice(VoiceSettings(slots=1, context_tokens=256, threads=1, waiting=1)) as voice:
        asked = asyncio.create_task(voice.speak(personas[0], "My", 1, 1, SURE))
        await asyncio.sleep(0)

        with pytest.raises(VoiceError, match=r"already has 1 requests waiting.* Try again in about \d+ s"):
            await voice.speak(personas[0], "My", 1, 1, SURE)

        assert await asked


def _kill_the_worker() -> None:
    for child in psutil.Process().children():
        if "bot.voice.worker" in child.cmdline():
            child.kill()


def _decoding() -> bool:
    return any(thread.name == "batcher" for thread in threading.enumerate())
