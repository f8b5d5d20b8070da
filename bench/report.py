"""What every bench says: the machine, the versions and the sizes first, one FIGURE line a claim last.

The same goes to bench/results/NAME.json. `QUICK=1` in the environment asks a bench for as few repeats as still show
that it works; its results are then NAME-quick.json and prove nothing.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "bench" / "results"
QUICK = os.environ.get("QUICK", "") not in ("", "0")
MB = 1_000_000

_PACKAGES = ("torch", "transformers", "peft", "xllamacpp", "sqlite-utils")


@dataclass(frozen=True, slots=True)
class Figure:
    """One claim as it was measured, and whether it meets its goal."""

    claim: str
    value: float
    unit: str
    goal: str
    ok: bool

    def __str__(self) -> str:
        outcome = "ok" if self.ok else "short"
        unit = f" {self.unit}" if self.unit else ""
        return f"FIGURE {self.claim} = {_number(self.value)}{unit} (goal {self.goal}) {outcome}"


def below(claim: str, value: float, unit: str, goal: float) -> Figure:
    """A figure that has to be smaller than its goal."""
    return Figure(claim, value, unit, f"< {goal:g} {unit}".strip(), value < goal)


def at_most(claim: str, value: float, unit: str, goal: float) -> Figure:
    """A figure that may be as large as its goal."""
    return Figure(claim, value, unit, f"<= {goal:g} {unit}".strip(), value <= goal)


@dataclass(frozen=True, slots=True)
class Series:
    """Repeats of one measurement."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        spread = f"{_number(min(self.values))} to {_number(max(self.values))}"
        return f"{self.name}: median {_number(self.median)} {self.unit} of {len(self.values)}, {spread}"


class Report:
    """One run of one bench: says what is measured as it comes, and ends with the figures."""

    def __init__(self, name: str, sizes: Mapping[str, str | int | float]) -> None:
        """Say what is measured, and on what; `sizes` are the settings and the inputs that the figures depend on."""
        self._name = f"{name}-quick" if QUICK else name
        self._began_at = datetime.now(UTC)
        self._facts: dict[str, Mapping[str, str | int | float]] = {
            "machine": machine(),
            "versions": versions(),
            "sizes": dict(sizes),
        }
        self._series: list[Series] = []
        self.say(f"bench {self._name}, {self._began_at:%Y-%m-%d %H:%M} UTC")
        for heading, facts in self._facts.items():
            self.say(f"{heading}: " + ", ".join(f"{key} {value}" for key, value in facts.items()))

    def say(self, line: str) -> None:
        """Tell the person who waits."""
        print(line, flush=True)

    def measured(self, name: str, unit: str, values: Sequence[float]) -> Series:
        """Keep repeats of one measurement (at least one), and say their median and spread."""
        series = Series(name, unit, tuple(values))
        self._series.append(series)
        self.say(str(series))
        return series

    def conclude(self, figures: Sequence[Figure]) -> int:
        """Write the results, print the figures, and give the exit status: 1 where one falls short or there is none."""
        RESULTS.mkdir(parents=True, exist_ok=True)
        result = {
            "bench": self._name,
            "began_at": self._began_at.isoformat(),
            **self._facts,
            "measurements": [asdict(series) for series in self._series],
            "figures": [asdict(figure) for figure in figures],
        }
        file = RESULTS / f"{self._name}.json"
        file.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self.say(f"results: {file.relative_to(REPOSITORY)}")
        for figure in figures:
            self.say(str(figure))
        return 0 if figures and all(figure.ok for figure in figures) else 1


def machine() -> dict[str, str | int]:
    """Processor, cores, memory and system; and how busy the machine was before the bench began."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{_system()} ({platform.machine()})",
        "load": f"{load:.1f}",
    }


def versions() -> dict[str, str]:
    """Python, SQLite and the libraries that do the work."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)


def _number(value: float) -> str:
    """Three significant digits, and no exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
