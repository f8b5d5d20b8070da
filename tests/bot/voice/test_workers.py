"""The voice's processes: how they die, are replaced, and end."""

from __future__ import annotations

import asyncio
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
from trainer.recipes import Sampling

SETTINGS = VoiceSettings(slots=4, context_tokens=256, threads=1)
SHORT = Sampling(min_tokens=4, max_tokens=32)
LONG = Sampling(min_tokens=4, max_tokens=250)
REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("engine", ["llamacpp", "plain"])
async def test_killed_worker_is_replaced_and_asked_again(cast: Cast, engine: str) -> None:
    speaker: Speaker = getattr(cast, engine)
    async with Voice(SETTINGS) as voice:
        expected = await voice.speak(speaker, "My dream is", 8, 7, LONG)
        (worker,) = _workers()
        asked = [asyncio.create_task(voice.speak(speaker, "My dream is", 8, 7, LONG)) for _ in range(4)]
        await asyncio.sleep(0.02)
        worker.kill()

        assert await asyncio.gather(*asked) == [expected] * 4
        (successor,) = _workers()
        assert successor.pid != worker.pid


async def test_worker_that_dies_again_and_again_is_reported(cast: Cast) -> None:
    async with Voice(SETTINGS) as voice:
        await voice.warm(cast.llamacpp)
        killing = asyncio.create_task(_kill_every_worker())

        with pytest.raises(VoiceError, match="stopped 2 times"):
            while True:
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


async def test_speaker_without_a_model_is_told(voice: Voice, tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="nobody cannot speak here"):
        await voice.warm(Speaker("nobody"))
    with pytest.raises(VoiceError, match="is missing"):
        await voice.warm(Speaker("gone", base=tmp_path / "gone.gguf"))
    with pytest.raises(VoiceError, match="is not in"):
        await voice.warm(Speaker("gone", model=tmp_path / "gone"))


async def test_broken_base_is_told(voice: Voice, tiny_llama: Path, tmp_path: Path) -> None:
    noise, cut = tmp_path / "noise.gguf", tmp_path / "cut.gguf"
    _write(noise, b"GGUF" + bytes(range(256)))
    _write(cut, tiny_llama.read_bytes()[:-2000])

    with pytest.raises(VoiceError, match="not a readable GGUF file"):
        await voice.warm(Speaker("noise", base=noise))
    with pytest.raises(VoiceError, match="cannot load cut"):
        await voice.warm(Speaker("cut", base=cut))


def test_bot_side_imports_no_model_library() -> None:
    heavy = ["torch", "transformers", "peft", "numpy", "xllamacpp", "gguf", "safetensors"]
    code = f"import bot.voice.service, sys; sys.exit(', '.join(set({heavy!r}) & set(sys.modules)))"

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

        assert worker.wait(10) == 0
        assert worker.stdout.read() == b""
        assert worker.stderr.read() == b""


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "bot.voice.worker" in child.cmdline()]


async def _kill_every_worker() -> None:
    """As soon as one is there, so that none gets to answer."""
    while True:
        for worker in _workers():
            worker.kill()
        await asyncio.sleep(0.05)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
