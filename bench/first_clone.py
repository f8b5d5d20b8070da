"""`make bench-first-clone`: from an X archive on a fresh data folder to the first reply, and where the time goes.

The archive is MYNAH_BENCH_ARCHIVE, or the one of ../shared/data. Commands go in on a pipe, as a person's script has
them; the times are of the lines that come out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.report import MB, REPOSITORY, Report, at_most, below

ARCHIVE = Path(
    os.environ.get("MYNAH_BENCH_ARCHIVE", str(REPOSITORY.parent / "shared/data/x-archives/andreruffert.zip"))
)
REPLY_WITHIN_S = 300.0
BITS = 1.9
STAGES = (
    ("start, and posts into the database", r"@bench: [\d,]+ posts are new"),
    ("libraries imported, base converted and loaded", r"@bench: training on"),
    ("quality of the base", r"@bench: held-out bits per byte before"),
    ("training, looks and samples", r"@bench step \d"),
    ("quality of the clone", r"@bench: held-out bits per byte after"),
    ("last samples, model saved", r"@bench is ready"),
    ("voice started, first reply", r"@bench \(a bot imitating them\)"),
)
"""What is done once the last line that begins so has come. What the clone practises begins otherwise: it may say
anything, and it begins with the very prompt of the reply."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the console, and when it came."""

    at_s: float
    text: str


def main() -> int:
    """Clone once and say where the time went."""
    if not ARCHIVE.exists():
        sys.exit(f"There is no archive at {ARCHIVE}: name one in MYNAH_BENCH_ARCHIVE.")
    report = Report("first-clone", {"archive": ARCHIVE.name, "archive MB": round(ARCHIVE.stat().st_size / MB, 1)})
    with tempfile.TemporaryDirectory() as data:
        lines, peak_bytes = _clone(Path(data))
    passed, figures = 0.0, []
    for stage, mark in STAGES:
        at_s = _last(lines, mark).at_s
        report.measured(stage, "s", [at_s - passed])
        passed = at_s
    before, after = (
        float(_last(lines, rf"@bench: held-out bits per byte {when}").text.split()[-1]) for when in ("before", "after")
    )
    report.measured("held-out bits per byte of the base", "bits per byte", [before])
    figures.append(at_most("archive to first reply", passed, "s", REPLY_WITHIN_S))
    figures.append(at_most("held-out bits per byte after training", after, "bits per byte", BITS))
    figures.append(below("bits per byte left of the base's", after / before, "of it", 1.0))
    report.measured("peak memory of the trainer", "MB", [peak_bytes / MB])
    return report.conclude(figures)


def _last(lines: list[Line], mark: str) -> Line:
    found = [line for line in lines if re.match(mark, line.text)]
    return found[-1] if found else sys.exit(f"Mynah never said a line that begins with {mark!r}.")


def _clone(data: Path) -> tuple[list[Line], int]:
    """What the console said and when, and the most memory that its trainer had."""
    typed = f'/clone @bench file="{ARCHIVE}" seed=1\n/say @bench prompt="My dream is"\n/quit\n'
    process = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "run"],
        cwd=REPOSITORY,
        env=os.environ | {"MYNAH_DATA_DIR": str(data)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    began, peak = time.monotonic(), Peak(process.pid)
    peak.start()
    process.stdin.write(typed)
    process.stdin.close()
    lines: list[Line] = []
    for text in process.stdout:
        lines.append(Line(time.monotonic() - began, text.rstrip("\n")))
        print(f"{lines[-1].at_s:6.1f} s  {lines[-1].text}", flush=True)
    if process.wait() != 0:
        sys.exit("The clone was refused.")
    return lines, peak.size_bytes


class Peak(threading.Thread):
    """Looks twice a second at how much memory the trainer has that a process started."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self.size_bytes = 0

    def run(self) -> None:
        while self._process.is_running():
            try:
                sizes = [child.memory_info().rss for child in self._process.children() if _trains(child)]
            except psutil.NoSuchProcess:
                sizes = []
            self.size_bytes = max([self.size_bytes, *sizes])
            time.sleep(0.5)


def _trains(process: psutil.Process) -> bool:
    return process.cmdline()[-1:] == ["trainer"]


if __name__ == "__main__":
    sys.exit(main())
