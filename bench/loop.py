"""`make bench-loop`: how late the bot's event loop is, how soon it hears a command, and what an idle server costs.

The bot is a real one, on the local Discord: 200 servers of 30 channels and 20 roles, whose members write 20 messages a
second, none of them to the bot. A clone is made of an X archive (MYNAH_BENCH_ARCHIVE, or one of ../shared/data), and
the example persona speaks, on the default base.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.first_clone import ARCHIVE
from bench.loop_bot import read_lags
from bench.loop_crowd import CHANNELS, ROLES, Answers, Crowd, crowd
from bench.report import QUICK, REPOSITORY, Report, at_most, below
from bot.bundled import bundled_handle

GUILDS = 200
MESSAGES_PER_S = 20.0
STARTS = 1 if QUICK else 3
SETTLING_S = 3.0
ASKED = 20 if QUICK else 120
"""Times that somebody runs /say while nothing is learned; a hundredth of them may be slow."""
ASKED_EVERY_S = 0.4
TRAINING_S = 45.0 if QUICK else 90.0
SPEAKS_EVERY_S = 1.0
_LEARNS = re.compile("Learning|loss|Learned|Ready")
"""What the message of a clone says from its training on."""
_WRITTEN_AFTER_S = 2.0
"""The probe's file is written in blocks."""
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Bot:
    """`mynah run` with the probe."""

    pid: int
    lag_file: Path

    def lags(self, since: float) -> list[float]:
        """Seconds by which its loop was late, from a moment of `time.monotonic` until now."""
        until = time.monotonic()
        time.sleep(_WRITTEN_AFTER_S)
        return read_lags(self.lag_file, since, until)


def main() -> int:
    """Measure the memory first, then the loop."""
    if not ARCHIVE.exists():
        sys.exit(f"There is no archive at {ARCHIVE}: name one in MYNAH_BENCH_ARCHIVE.")
    sizes: dict[str, str | int | float] = {
        "servers": GUILDS,
        "channels": CHANNELS,
        "roles": ROLES,
        "messages/s": MESSAGES_PER_S,
        "/say": ASKED,
        "training s": TRAINING_S,
        "archive": ARCHIVE.name,
    }
    report = Report("loop", sizes)
    try:
        return _measure(report)
    except AssertionError as error:  # the bot did not come online, or its loop never ran
        report.say(str(error))
        return 1


def _measure(report: Report) -> int:
    guild_kib = _memory(report)
    with tempfile.TemporaryDirectory() as folder, crowd(GUILDS) as people, _bot(people, Path(folder)) as bot:
        people.await_bot()
        people.warm_up(bundled_handle())
        people.chat(MESSAGES_PER_S)
        began = time.monotonic()
        answers = people.say(bundled_handle(), ASKED, ASKED_EVERY_S)
        _tell(report, "loop late, servers talk and a voice speaks", bot.lags(began))
        _tell(report, "/say acknowledged, servers talk", answers.waits_s)
        began = time.monotonic()
        people.clone(ARCHIVE)
        meanwhile = people.say(bundled_handle(), round(TRAINING_S / SPEAKS_EVERY_S), SPEAKS_EVERY_S)
        lags, told = bot.lags(began), people.told()
    if not _LEARNS.search(told):
        raise AssertionError(f"No clone was trained meanwhile; its message says: {told or 'nothing'}")
    _tell(report, "loop late, a clone trains and a voice speaks", lags)
    _tell(report, "/say acknowledged, a clone trains", meanwhile.waits_s)
    return report.conclude(
        [
            below("event loop late while a clone trains and a voice speaks, p99", 1000 * _p99(lags), "ms", 50),
            at_most("/say acknowledged among 200 servers and 20 messages a second, p99", _p99_ms(answers), "ms", 300),
            at_most("/say acknowledged while a clone trains, p99", _p99_ms(meanwhile), "ms", 300),
            at_most("memory of an idle server", guild_kib, "KiB", 40),
        ]
    )


def _memory(report: Report) -> float:
    """KiB that each server adds to a bot that does nothing."""
    one = report.measured("bot in 1 server", "KiB", [_resting_kib(1) for _ in range(STARTS)])
    many = report.measured(f"bot in {GUILDS} servers", "KiB", [_resting_kib(GUILDS) for _ in range(STARTS)])
    return (many.median - one.median) / (GUILDS - 1)


def _resting_kib(guilds: int) -> float:
    with tempfile.TemporaryDirectory() as folder, crowd(guilds) as people, _bot(people, Path(folder)) as bot:
        people.await_bot()
        time.sleep(SETTLING_S)
        return float(psutil.Process(bot.pid).memory_info().rss) / _KIB


@contextmanager
def _bot(people: Crowd, folder: Path) -> Iterator[Bot]:
    """On that Discord, until the block ends."""
    lag_file = folder / "lag"
    settings = {
        "MYNAH_DATA_DIR": str(folder / "data"),
        "MYNAH_DISCORD__BASE_URL": people.address.api_url,
        "MYNAH_DISCORD__USER_SECONDS": "0",
        "DISCORD_TOKEN": people.address.token,
        "BENCH_LAG": str(lag_file),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.loop_bot"], cwd=REPOSITORY, env=os.environ | settings, stdin=subprocess.DEVNULL
    )
    try:
        yield Bot(process.pid, lag_file)
    finally:
        process.terminate()
        process.wait()


def _tell(report: Report, name: str, seconds: Sequence[float]) -> None:
    quantiles = ", ".join(f"p{100 * share:g} {1000 * _quantile(seconds, share):.1f}" for share in (0.5, 0.9, 0.99, 1))
    report.say(f"{name}, ms of {len(seconds)}: {quantiles}")


def _p99(seconds: Sequence[float]) -> float:
    return _quantile(seconds, 0.99)


def _p99_ms(answers: Answers) -> float:
    """Commands that were missed count as never acknowledged."""
    return 1000 * _p99([*answers.waits_s, *[math.inf] * answers.missed])


def _quantile(values: Sequence[float], share: float) -> float:
    """By nearest rank."""
    assert values, "nothing was measured"
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


if __name__ == "__main__":
    sys.exit(main())
