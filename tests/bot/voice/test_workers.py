"""The voice's processes: how they die, are replaced, and end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bot.errors import VoiceError
from bot.voice.base import Speaker
from bot.voice.process import VoiceSettings
from bot.voice.service import Voice
from bot.voice.wire import Answer, Load, to_line
from tests.bot.voice.conftest import Cast
from tests.tiny import tiny_lora
from trainer.recipes import Sampling

SETTINGS = VoiceSettings(slots=4, context_tokens=256, threads=1)
SHORT = Sampling(min_tokens=4, max_tokens=32)
LONG = Sampling(min_tokens=4, max_tokens=250)
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def broken_bases(tiny_llama: Path, tmp_path: Path) -> dict[str, Path]:
    bases = {"noise": tmp_path / "noise.gguf", "cut": tmp_path / "cut.gguf"}
    bases["noise"].write_bytes(b"GGUF" + bytes(range(256)))
    bases["cut"].write_bytes(tiny_llama.read_bytes()[:-2000])
    return bases


@pytest.fixture
def second_adapter(tiny_llama: Path, tmp_path: Path) -> Path:
    return tiny_lora(tmp_path / "second", tiny_llama, seed=2)


@pytest.fixture
def unconvertible_adapter(tiny_llama: Path, tmp_path: Path) -> Path:
    folder = tiny_lora(tmp_path / "scaled", tiny_llama)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"use_rslora": True}))
    return folder


@pytest.mark.parametrize("engine", ["llamacpp", "plain"])
async def test_killed_worker_is_replaced_and_asked_again(cast: Cast, engine: str) -> None:
    speaker: Speaker = getattr(cast, engine)
    async with Voice(SETTINGS) as voice:
        expected = await voice.speak(speaker, "My dream is", 8, 7, LONG)
        (worker,) = _workers()
        asked = asyncio.create_task(voice.speak(speaker, "My dream is", 8, 7, LONG))
        await asyncio.sleep(0.02)
        worker.kill()

        assert await asked == expected
        (successor,) = _workers()
        assert successor.pid != worker.pid


async def test_worker_that_dies_again_and_again_is_reported(cast: Cast) -> None:
    async with Voice(SETTINGS) as voice:
        await voice.warm(cast.llamacpp)
        killing = asyncio.create_task(_kill_every_worker())

        with pytest.raises(VoiceError, match="stopped 2 times"):
            await voice.speak(cast.llamacpp, "My", 40, 1, LONG)

        killing.cancel()
        assert await voice.speak(cast.llamacpp, "My", 1, 1, SHORT)


async def test_close_leaves_no_process(cast: Cast) -> None:
    async with Voice(SETTINGS) as voice:
        await asyncio.gather(voice.warm(cast.llamacpp), voice.warm(cast.plain))
        assert len(_workers()) == 2
        unanswered = asyncio.create_task(voice.speak(cast.llamacpp, "My", 40, 1, LONG))
        await asyncio.sleep(0.05)

    assert _workers() == []
    with pytest.raises(VoiceError):
        await unanswered
    with pytest.raises(VoiceError, match="closed"):
        await voice.speak(cast.llamacpp, "My", 1, 1, SHORT)


async def test_full_queue_is_refused_at_once(cast: Cast) -> None:
    async with Voice(VoiceSettings(slots=1, context_tokens=256, threads=1, waiting=2)) as voice:
        asked = [asyncio.create_task(voice.speak(cast.llamacpp, "My", 2, 1, SHORT)) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(VoiceError, match="already has 2 requests waiting"):
            await voice.speak(cast.llamacpp, "My", 1, 1, SHORT)

        assert len(await asyncio.gather(*asked)) == 2


async def test_late_answer_is_refused_and_later_requests_are_answered(cast: Cast) -> None:
    async with Voice(SETTINGS) as voice:
        await voice.warm(cast.llamacpp)

        with pytest.raises(VoiceError, match=r"did not answer within 0\.01 s"):
            await voice.speak(cast.llamacpp, "My", 40, 1, LONG, timeout_s=0.01)

        assert await voice.speak(cast.llamacpp, "My", 1, 1, SHORT, timeout_s=20)


async def test_cancelled_request_frees_the_worker(cast: Cast) -> None:
    async with Voice(VoiceSettings(slots=1, context_tokens=256, threads=1)) as voice:
        await voice.warm(cast.llamacpp)
        asked = [asyncio.create_task(voice.speak(cast.llamacpp, "My", 100, 1, LONG)) for _ in range(8)]
        await asyncio.sleep(0.05)
        for task in asked:
            task.cancel()

        started = time.monotonic()
        assert await voice.speak(cast.llamacpp, "My", 1, 1, SHORT)
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("speaker", "told"),
    [
        (Speaker("nobody"), "nobody cannot speak here"),
        (Speaker("gone", base=Path("gone.gguf")), "is missing"),
        (Speaker("gone", model=Path("gone")), "is not in gone"),
    ],
)
async def test_speaker_without_a_model_is_told(speaker: Speaker, told: str) -> None:
    async with Voice(SETTINGS) as voice:
        with pytest.raises(VoiceError, match=told):
            await voice.warm(speaker)


async def test_broken_base_is_told(broken_bases: dict[str, Path]) -> None:
    async with Voice(SETTINGS) as voice:
        with pytest.raises(VoiceError, match="not a readable GGUF file"):
            await voice.warm(Speaker("noise", base=broken_bases["noise"]))
        with pytest.raises(VoiceError, match="cannot load cut"):
            await voice.warm(Speaker("cut", base=broken_bases["cut"]))


async def test_more_adapters_than_are_kept_take_turns(cast: Cast, second_adapter: Path) -> None:
    second = Speaker("second", cast.llamacpp.base, second_adapter)
    async with Voice(VoiceSettings(slots=2, context_tokens=256, threads=1, adapters=1)) as voice:
        said = [await voice.speak(speaker, "My", 2, 1, SHORT) for speaker in (cast.adapted, second, cast.adapted)]
        together = await asyncio.gather(
            *(voice.speak(speaker, "My", 2, 1, SHORT) for speaker in [cast.adapted, second] * 4)
        )

    assert said[0] == said[2] != said[1]
    assert [len(posts) for posts in together] == [2] * 8


async def test_plain_engine_speaks_where_llamacpp_cannot(
    cast: Cast, tiny_gpt2: Path, unconvertible_adapter: Path
) -> None:
    async with Voice(SETTINGS) as voice:
        speaker = Speaker("both", cast.llamacpp.base, unconvertible_adapter, tiny_gpt2)
        assert await voice.speak(speaker, "My", 2, 1, SHORT) == await voice.speak(cast.plain, "My", 2, 1, SHORT)

        with pytest.raises(VoiceError, match="use_rslora = True"):
            await voice.speak(Speaker("one", cast.llamacpp.base, unconvertible_adapter), "My", 2, 1, SHORT)


def test_bot_side_imports_no_model_library() -> None:
    heavy = ["torch", "transformers", "peft", "numpy", "xllamacpp", "gguf", "safetensors"]
    code = f"import bot.voice.service, sys; sys.exit(', '.join(set({heavy!r}) & set(sys.modules)) or 0)"

    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("ending", ["stdin", "SIGTERM"])
def test_worker_ends_by_itself(cast: Cast, ending: str) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "bot.voice.worker", "llamacpp", "--slots", "1", "--context-tokens", "256"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None
    with worker:
        worker.stdin.write(to_line(Load(id=1, speaker=cast.llamacpp)))
        worker.stdin.flush()
        assert Answer.model_validate_json(worker.stdout.readline()) == Answer(id=1)
        worker.send_signal(signal.SIGINT)

        if ending == "stdin":
            worker.stdin.close()
        else:
            worker.terminate()

        assert worker.wait(10) == (0 if ending == "stdin" else -signal.SIGTERM)
        assert worker.stdout.read() == b""
        assert worker.stderr.read() == b""


def _workers() -> list[psutil.Process]:
    workers = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended since
            if "bot.voice.worker" in child.cmdline():
                workers.append(child)
    return workers


async def _kill_every_worker() -> None:
    """As soon as one is there, so that none gets to answer."""
    while True:
        for worker in _workers():
            worker.kill()
        await asyncio.sleep(0.05)
