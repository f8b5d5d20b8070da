"""`make bench-start`: how soon it is there, how soon it speaks, and how little it takes while nobody asks.

All with the bundled persona on the default base, in processes of their own, as a person has them.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import psutil

from bench.report import MB, QUICK, REPOSITORY, Report, below
from bot.bundled import bundled_handle, install
from bot.data_folder import DataFolder
from bot.settings import Settings
from bot.speakers import Speakers
from bot.voice.process import VoiceSettings
from bot.voice.service import Voice
from storage.database import Writer
from trainer.recipes import Sampling

REPEATS = 2 if QUICK else 5
IDLE_S = 3.0 if QUICK else 20.0
REPLY_TOKENS = 40
READY = "/help lists the rest"
"""The end of the greeting: a person can type now."""


def main() -> int:
    """Measure all of it, one thing after another."""
    report = Report("start", {"repeats": REPEATS, "idle seconds": IDLE_S, "reply tokens": REPLY_TOKENS})
    subprocess.run([*_MAKE_RUN], cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    with tempfile.TemporaryDirectory() as data:
        words_s = report.measured("first start, prompt to first words", "s", [_first_words(Path(data))])
        starts = [_start_and_speak(Path(data)) for _ in range(REPEATS)]
        prompt_s = report.measured("make run to the prompt", "s", [start[0] for start in starts])
        reply_s = report.measured("second start to the first reply", "s", [start[1] for start in starts])
        voice_mb = report.measured("memory of the voice after speaking", "MB", [start[2] for start in starts])
        bot_mb, share = _idle(Path(data))
        report.measured("memory of the bot, idle", "MB", [bot_mb])
        report.measured("share of a core, idle", "%", [share])
        speech_s = report.measured(f"a reply of {REPLY_TOKENS} tokens, alone", "s", asyncio.run(_replies(Path(data))))
    return report.conclude(
        [
            below("make run to the prompt", prompt_s.median, "s", 2),
            below("prompt to the first words, first start", words_s.median, "s", 10),
            below("second start to the first reply", reply_s.median, "s", 3),
            below(f"reply of {REPLY_TOKENS} tokens alone", speech_s.median, "s", 0.6),
            below("bot idle, memory", bot_mb, "MB", 120),
            below("bot idle, share of a core", share, "%", 0.5),
            below("voice worker, memory", voice_mb.median, "MB", 400),
        ]
    )


_MAKE_RUN = ("make", "--no-print-directory", "run")


def _launch(data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        _MAKE_RUN,
        cwd=REPOSITORY,
        env=os.environ | {"MYNAH_DATA_DIR": str(data)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def _first_words(data: Path) -> float:
    """Seconds from the first prompt of all to the example persona's first words."""
    process = _launch(data)
    _wait_for(process.stdout, READY)
    began = time.monotonic()
    _say(process)
    took = time.monotonic() - began
    _end(process)
    return took


def _start_and_speak(data: Path) -> tuple[float, float, float]:
    """Seconds to the prompt, seconds to the first reply, and the voice's megabytes then."""
    began = time.monotonic()
    process = _launch(data)
    _wait_for(process.stdout, READY)
    prompt_s = time.monotonic() - began
    _say(process)
    reply_s = time.monotonic() - began
    voice = next(child for child in psutil.Process(process.pid).children(recursive=True) if _is(child, "voice.worker"))
    size_mb = voice.memory_info().rss / MB
    _end(process)
    return prompt_s, reply_s, size_mb


def _idle(data: Path) -> tuple[float, float]:
    """The bot's megabytes, and its share of a core in percent, while nothing happens."""
    process = _launch(data)
    _wait_for(process.stdout, READY)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    bot = next(member for member in family if _is(member, "bot.cli"))
    time.sleep(2)
    before = sum(bot.cpu_times()[:2])
    time.sleep(IDLE_S)
    share = 100 * (sum(bot.cpu_times()[:2]) - before) / IDLE_S
    size_mb = bot.memory_info().rss / MB
    _end(process)
    return size_mb, share


async def _replies(data: Path) -> list[float]:
    """Seconds of replies that are exactly so many tokens long, by a voice that is warm."""
    store = Writer(DataFolder(data).database)
    await store.start()
    await store.run(install)
    speakers = Speakers(Settings(data_dir=data), store)
    speaker = await speakers.speaker(await speakers.find(bundled_handle()))
    await store.close()
    took: list[float] = []
    sampling = Sampling(min_tokens=1, max_tokens=1 + REPLY_TOKENS)  # the separator before them counts
    async with Voice(VoiceSettings(threads=os.cpu_count() or 1)) as voice:
        await voice.warm(speaker)
        for seed in range(0, 1000 * REPEATS, 10):
            began = time.monotonic()
            (text,) = await voice.speak(speaker, "", 1, seed, sampling)
            seconds = time.monotonic() - began
            (score,) = await voice.logprobs(speaker, [text])
            if score.tokens == REPLY_TOKENS:  # most end sooner
                took.append(seconds)
            if len(took) == 2 * REPEATS:
                break
    return took


def _say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write(f"/say @{bundled_handle()}\n")
    process.stdin.flush()
    _wait_for(process.stdout, "a bot imitating them")


def _end(process: subprocess.Popen[str]) -> None:
    process.communicate("/quit\n", timeout=60)


def _wait_for(output: IO[str] | None, words: str) -> None:
    assert output is not None
    for line in output:
        if words in line:
            return
    sys.exit(f"Mynah ended before it said {words!r}.")


def _is(process: psutil.Process, name: str) -> bool:
    return any(name in word for word in process.cmdline())


if __name__ == "__main__":
    sys.exit(main())
