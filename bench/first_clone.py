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
    ("start, and posts into the database", r"posts are new"),
    ("libraries imported, base converted and loaded", r"training on"),
    ("quality of the base", r"before training"),
    ("training, looks and samples", r"step (\d+)/\1 "),
    ("quality of the clone, last samples, model saved", r"is ready"),
    ("voice started, first reply", r"My dream is"),
)


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
        at_s = next(line.at_s for line in lines if re.search(mark, line.text) and not line.text.startswith("  /say"))
        report.measured(stage, "s", [at_s - passed])
        passed = at_s
    bits = [float(line.text.split()[-1]) for line in lines if "held-out bits per byte" in line.text]
    figures.append(at_most("archive to first reply", passed, "s", REPLY_WITHIN_S))
    figures.append(at_most("held-out bits per byte after training", bits[-1], "bits per byte", BITS))
    figures.append(below("bits per byte left of the base's", bits[-1] / bits[0], "of it", 1.0))
    report.measured("peak memory of the trainer", "MB", [peak_bytes / MB])
    return report.conclude(figures)


def _clone(data: Path) -> tuple[list[Line], int]:
    """What the console said and when, and the most memory that any of its processes had."""
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
    """Looks twice a second at how much memory the children of a process have."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self.size_bytes = 0

    def run(self) -> None:
        while self._process.is_running():
            try:
                sizes = [child.memory_info().rss for child in self._process.children()]
            except psutil.NoSuchProcess:
                continue
            self.size_bytes = max([self.size_bytes, *sizes])
            time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
