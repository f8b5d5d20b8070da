"""`make bench-start`: how soon it is there, how soon it speaks, and how little it takes while nobody asks.

All on the default base, with `make run` on a terminal, as a person has it. The example persona speaks at the first
start. Afterwards a clone of one's own does, which unlike the example the bot does not make ready before it is asked.
"""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil
from sqlite_utils import Database

from bench.report import MB, QUICK, REPOSITORY, Report, below
from bot.app import voice_settings
from bot.bundled import bundled_handle
from bot.data_folder import DataFolder
from bot.settings import Settings
from bot.speakers import Speakers
from bot.voice.base import Speaker
from bot.voice.service import Voice
from storage import clones, personas, weights
from storage.database import Writer, open_database
from tests.running import Mynah, until
from trainer.recipes import Sampling

REPEATS = 2 if QUICK else 5
REPLIES = 3 if QUICK else 10
IDLE_S = 3.0 if QUICK else 20.0
SETTLING_S = 2.0
REPLY_TOKENS = 40
MOST_SEEDS = 1000
OWN = "bench"
PROMPT = "mynah>"
SAID = r"imitating them\):\s+\S"
"""The first letter of a reply, under the line that says who is imitated."""


def main() -> int:
    """Measure all of it, one thing after another."""
    report = Report("start", {"starts": REPEATS, "replies": REPLIES, "idle s": IDLE_S, "reply tokens": REPLY_TOKENS})
    try:
        with tempfile.TemporaryDirectory() as data:
            return _measure(report, Path(data))
    except AssertionError as error:  # what Mynah said instead of what was waited for
        report.say(str(error))
        return 1


def _measure(report: Report, data: Path) -> int:
    with _mynah(data / "set-up") as mynah:  # brings what is missing
        mynah.wait_for(PROMPT, timeout_s=1800)
    words_s = report.measured(
        "first start, prompt to first words", "s", [_first_words(data / f"first-{n}") for n in range(REPEATS)]
    )
    data = data / "first-0"
    _add_clone(DataFolder(data))
    _start_and_speak(data)  # the clone's first words of all: its adapter is converted now
    starts = [_start_and_speak(data) for _ in range(REPEATS)]
    prompt_s = report.measured("make run to the prompt", "s", [prompt for prompt, _ in starts])
    reply_s = report.measured("second start to the first reply", "s", [reply for _, reply in starts])
    bot_mb, bot_share, voice_mb, voice_share = _idle(data)
    report.measured("bot's share of a core, idle", "%", [bot_share])
    report.measured("voice's share of a core, idle", "%", [voice_share])
    replies_s = report.measured(f"a reply of {REPLY_TOKENS} tokens, alone", "s", asyncio.run(_replies(data)))
    return report.conclude(
        [
            below("make run to the prompt", prompt_s.median, "s", 2),
            below("prompt to the first words, first start", words_s.median, "s", 10),
            below("second start to the first reply", reply_s.median, "s", 3),
            below(f"reply of {REPLY_TOKENS} tokens alone", replies_s.median, "s", 0.6),
            below("bot idle, memory", bot_mb, "MB", 120),
            below("bot idle, share of a core", bot_share, "%", 0.5),
            below("voice worker, memory", voice_mb, "MB", 400),
        ]
    )


def _mynah(data: Path) -> Mynah:
    """`make run` on a terminal; leaving its `with` block ends it."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (40, 160))
    terminal = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}  # nobody here answers where the cursor is
    process = subprocess.Popen(
        ["make", "--no-print-directory", "run"],
        cwd=REPOSITORY,
        env=os.environ | terminal | {"MYNAH_DATA_DIR": str(data)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return Mynah(process, ours, os.dup(ours), Path(os.devnull))


def _say(mynah: Mynah, handle: str, count: int = 1) -> None:
    mynah.type(f'/say @{handle} prompt="My dream is" count={count}\r')
    mynah.wait_for(SAID)
    mynah.wait_for(PROMPT)


def _quit(mynah: Mynah) -> None:
    mynah.type("/quit\r")
    mynah.ended()


def _first_words(data: Path) -> float:
    """Seconds from the first prompt of all to the example persona's words, asked for as the greeting says."""
    with _mynah(data) as mynah:
        mynah.wait_for(PROMPT)
        began = time.monotonic()
        _say(mynah, bundled_handle(), count=5)
        took = time.monotonic() - began
        _quit(mynah)
    return took


def _start_and_speak(data: Path) -> tuple[float, float]:
    """Seconds from `make run` to the prompt, and to the first reply, asked for at once."""
    began = time.monotonic()
    with _mynah(data) as mynah:
        mynah.wait_for(PROMPT)
        prompt_s = time.monotonic() - began
        _say(mynah, OWN)
        reply_s = time.monotonic() - began
        _quit(mynah)
    return prompt_s, reply_s


def _idle(data: Path) -> tuple[float, float, float, float]:
    """Megabytes and percent of a core while nothing happens, after speaking: the bot's, then the voice's."""
    with _mynah(data) as mynah:
        mynah.wait_for(PROMPT)
        _say(mynah, OWN, count=8)
        processes = until(lambda: _process(mynah, "bot.cli")), mynah.voice()
        time.sleep(SETTLING_S)
        began, before = time.monotonic(), [_cpu_s(process) for process in processes]
        time.sleep(IDLE_S)
        elapsed = time.monotonic() - began
        shares = [100 * (_cpu_s(process) - start) / elapsed for process, start in zip(processes, before, strict=True)]
        sizes = [process.memory_info().rss / MB for process in processes]
        _quit(mynah)
    return sizes[0], shares[0], sizes[1], shares[1]


def _process(mynah: Mynah, module: str) -> psutil.Process | None:
    return next((child for child in mynah.family() if module in child.cmdline()), None)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _add_clone(folder: DataFolder) -> None:
    """A persona that is not the example, with a copy of its adapter."""
    db = open_database(folder.database)
    try:
        with tempfile.TemporaryDirectory() as scratch, db.atomic():
            _copy_clone(db, Path(scratch) / "adapter")
    finally:
        db.close()


def _copy_clone(db: Database, adapter: Path) -> None:
    example = personas.find(db, bundled_handle())
    assert example is not None
    assert example.current_clone_id is not None
    shown = clones.get(db, example.current_clone_id)
    assert shown.base_hash is not None
    weights.write_model(db, shown.id, adapter)
    own = personas.ensure(db, OWN)
    clone = clones.enqueue(db, own.id, shown.recipe, shown.recipe_json, shown.base, shown.seed, "bench", None)
    clones.move(db, clone.id, "collecting")
    clones.move(db, clone.id, "training")
    weights.save_model(db, clone.id, "lora", shown.base, shown.base_hash, adapter)
    clones.move(db, clone.id, "ready", base_hash=shown.base_hash)
    personas.set_current(db, own.id, clone.id)


async def _replies(data: Path) -> list[float]:
    """Seconds of replies that are exactly so many tokens long, by a voice of the bot's own size that is warm."""
    settings = Settings(data_dir=data)
    sampling = Sampling(min_tokens=1, max_tokens=1 + REPLY_TOKENS)  # the separator before them counts
    speaker = await _speaker(settings)
    took: list[float] = []
    async with Voice(voice_settings(settings)) as voice:
        await voice.warm(speaker)
        for seed in range(MOST_SEEDS):
            began = time.monotonic()
            (text,) = await voice.speak(speaker, "", 1, seed, sampling)
            seconds = time.monotonic() - began
            (score,) = await voice.logprobs(speaker, [text])
            if score.tokens == REPLY_TOKENS:  # most end sooner
                took.append(seconds)
            if len(took) == REPLIES:
                return took
    raise AssertionError(f"{MOST_SEEDS} replies held only {len(took)} of {REPLY_TOKENS} tokens.")


async def _speaker(settings: Settings) -> Speaker:
    store = Writer(DataFolder(settings.data_dir).database)
    await store.start()
    try:
        speakers = Speakers(settings, store)
        return await speakers.speaker(await speakers.find(OWN))
    finally:
        await store.close()


if __name__ == "__main__":
    sys.exit(main())
