"""The speakers that the voice's tests ask, on both engines."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from bot.voice.base import Speaker
from bot.voice.process import VoiceSettings
from bot.voice.service import Voice
from tests.tiny import tiny_lora
from tests.warm import LIBRARIES, warm_surroundings


@dataclass(frozen=True)
class Cast:
    """One speaker an engine, and a llama.cpp speaker with an adapter."""

    llamacpp: Speaker
    plain: Speaker
    adapted: Speaker


@pytest.fixture(scope="module", autouse=True)
def warm_plain_voices() -> Iterator[None]:
    """Workers of the plain engine have imported torch and transformers already (tests/warm.py)."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in [name for name in os.environ if name.startswith(LIBRARIES)]:
            monkeypatch.delenv(name)
        for name, value in warm_surroundings().items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def cast(tiny_llama: Path, tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Cast:
    adapter = tiny_lora(tmp_path_factory.mktemp("adapters") / "persona", tiny_llama)
    return Cast(
        llamacpp=Speaker("llama", base=tiny_llama),
        plain=Speaker("gpt2", model=tiny_gpt2),
        adapted=Speaker("adapted", base=tiny_llama, adapter=adapter),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voice() -> AsyncIterator[Voice]:
    """One voice a module: its workers take seconds to start."""
    async with Voice(VoiceSettings(slots=4, context_tokens=256, threads=1)) as voice:
        yield voice


@pytest.fixture(params=["llamacpp", "plain", "adapted"])
def speaker(request: pytest.FixtureRequest, cast: Cast) -> Speaker:
    """Each test that takes this is said of every engine."""
    chosen: Speaker = getattr(cast, request.param)
    return chosen
