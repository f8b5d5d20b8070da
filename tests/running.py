"""Mynah as people run it: a process of its own, on pipes or on a terminal, in a data folder of its own."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

import psutil
from sqlite_utils import Database

from storage.database import open_readonly
from tests.warm import LIBRARIES, warm_surroundings

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_=>])")


@dataclass(frozen=True)
class Home:
    """A data folder, the base that clones are made of there, and further settings as environment variables."""

    data: Path
    base: Path
    settings: dict[str, str] = field(default_factory=dict)
    is_warm: bool = False
    """Whether its trainers, plain voices and commands that `run` from start to end come from tests/warm.py, with their
    imports done; for tests of what happens around them."""

    def environ(self) -> dict[str, str]:
        ours = ("MYNAH_", "WANDB_", *LIBRARIES)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        own = {
            "MYNAH_DATA_DIR": str(self.data),
            "MYNAH_BASE_MODEL": str(self.base),
            "MYNAH_TRAINING__NICE": "0",
            "MYNAH_TRACKING__MODE": "off",  # it has tests of its own
            "MYNAH_QUALITY__SAMPLES": "8",
            "MYNAH_TRAINING__THREADS": "1",
            "MYNAH_VOICE__THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        return inherited | own | self.settings | (warm_surroundings() if self.is_warm else {})

    def run(self, *arguments: str, typed: str = "", timeout_s: float = 90) -> subprocess.CompletedProcess[str]:
        """`mynah …` from start to end, with what is typed on its stdin."""
        command = [sys.executable, "-m", "bot.cli", *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environ() | (warm_surroundings(bots=True) if self.is_warm else {}),
            input=typed,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout_s,
        )

    def copy(self, data: Path, **settings: str) -> Home:
        """The same in another folder, as it is now."""
        shutil.copytree(self.data, data, symlinks=True)  # W&B links to logs that may have gone
        return replace(self, data=data, settings={**self.settings, **settings})

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The database, to be read."""
        db = open_readonly(self.data / "mynah.db")
        try:
            yield db
        finally:
            db.close()


class Mynah:
    """`mynah run` while it runs. Leaving the `with` block kills what is left of it, children included."""

    def __init__(self, process: subprocess.Popen[bytes], reads: int, writes: int, errors: Path) -> None:
        self.process = process
        self._writes = writes
        self._errors = errors
        self._output = b""
        self._seen = 0
        self._more = threading.Condition()
        self._family: dict[int, psutil.Process] = {}
        self._reader = threading.Thread(target=self._read, args=(reads,), daemon=True)
        self._reader.start()

    @classmethod
    def on_pipes(cls, home: Home, *arguments: str) -> Self:
        reads, its_stdout = os.pipe()
        its_stdin, writes = os.pipe()
        errors = home.data.with_name(f"{home.data.name}-stderr.txt")
        with errors.open("ab") as stderr:
            process = subprocess.Popen(
                [*_MYNAH, *(arguments or ("run",))],
                cwd=ROOT,
                env=home.environ(),
                stdin=its_stdin,
                stdout=its_stdout,
                stderr=stderr,
            )
        os.close(its_stdin)
        os.close(its_stdout)
        return cls(process, reads, writes, errors)

    @classmethod
    def on_terminal(cls, home: Home) -> Self:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(ours, (40, 160))
        environ = home.environ() | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
        process = subprocess.Popen(
            [sys.executable, "-c", _WITH_CONTROLLING_TERMINAL, *_MYNAH, "run"],
            cwd=ROOT,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        return cls(process, ours, os.dup(ours), Path(os.devnull))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        family = [*self.family(), psutil.Process(self.process.pid)] if self.process.poll() is None else self.family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        self.end_input()
        self._reader.join()

    def type(self, line: str) -> None:
        """A line on a pipe; on a terminal `\\r` ends it."""
        os.write(self._writes, line.encode("utf-8", "surrogateescape"))

    def end_input(self) -> None:
        """Close the pipe that it reads from."""
        if self._writes >= 0:
            os.close(self._writes)
            self._writes = -1

    def wait_for(self, pattern: str, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """The next place in what it says, without escape sequences, that matches; what lies before is passed over."""
        deadline = time.monotonic() + timeout_s
        with self._more:
            while True:
                found = re.compile(pattern).search(self.output, self._seen)
                if found:
                    self._seen = found.end()
                    return found
                left = deadline - time.monotonic()
                ended = not self._reader.is_alive()
                if left <= 0 or ended:
                    raise AssertionError(
                        f"It never said {pattern!r}{' and ended' * ended}:\n{self.output}\n{self.errors}"
                    )
                self._more.wait(min(left, 0.5))

    def ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit status, once it has ended and all that it said is here."""
        self.family()
        status = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return status

    def kill(self) -> None:
        """kill -9."""
        self.family()
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def raw_output(self) -> str:
        return self._output.decode("utf-8", "replace")

    @property
    def output(self) -> str:
        """What it said so far on stdout, or on its terminal."""
        return _ESCAPES.sub("", self.raw_output)

    @property
    def errors(self) -> str:
        return self._errors.read_text("utf-8", "replace")

    def trainer(self, timeout_s: float = PATIENCE_S) -> psutil.Process:
        """The trainer, once there is one; where a warm one works for it, that one, which it ends with."""
        return until(lambda: self._at_work("trainer"), timeout_s)

    def voice(self, timeout_s: float = PATIENCE_S) -> psutil.Process:
        """The voice's worker, once there is one."""
        return until(lambda: self._child("bot.voice.worker"), timeout_s)

    def family(self) -> list[psutil.Process]:
        """Every process that it started and that still runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
            self._family |= {child.pid: child for child in children}
        return [child for child in self._family.values() if _runs(child)]

    def left_behind(self, timeout_s: float = 20) -> list[str]:
        """The processes that outlive it by more than they may."""
        deadline = time.monotonic() + timeout_s
        while self.family() and time.monotonic() < deadline:
            time.sleep(0.05)
        return [str(process) for process in self.family()]

    def _child(self, module: str) -> psutil.Process | None:
        for child in self.family():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if module in child.cmdline():
                    return child
        return None

    def _at_work(self, module: str) -> psutil.Process | None:
        """The child, or who works for it, whose process id its name tells (tests/warm_site)."""
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if (child := self._child(module)) and "TEST_WARM_DOORS" in child.environ():
                said, _, pid = child.name().partition(" ")
                return psutil.Process(int(pid)) if said == "warm" else None
            return child
        return None

    def _read(self, descriptor: int) -> None:
        while True:
            try:
                piece = os.read(descriptor, 65536)
            except OSError:  # how a terminal says that the other side has gone
                piece = b""
            with self._more:
                self._output += piece
                self._more.notify_all()
            if not piece:
                os.close(descriptor)
                return


def until(ask: Callable[[], T | None], timeout_s: float = PATIENCE_S) -> T:
    """The answer, once there is one."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.02)
    raise AssertionError("It did not come about in time.")


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


_WITH_CONTROLLING_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
_MYNAH = [sys.executable, "-m", "bot.cli"]
