"""Trainers that need not import torch, peft and transformers first, which takes longer than what a test has them do.

One process has imported them and waits; each trainer is a fork of it, with the files, environment and folder of whoever
asks, and runs the entry point of `python -m trainer`. A bot under test asks by `tests/warm_site`. Who differs in what
is read before those imports is answered with nothing, and starts a trainer of its own.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parents[1]
READ_EARLY = ("HF_", "TRANSFORMERS_", "TOKENIZERS_", "GOMP_", "MKL_", "TORCH")
"""Environment variables of libraries. OMP_NUM_THREADS is for whoever asks to know: it is 1 here."""
EARLY = {"HF_HUB_OFFLINE": "1"}
_IMPORTED = ("trainer.finetune", "trainer.judge", "trainer.adopt", "trainer.export", "trainer.score")
_MOST_BYTES = 2**20
_one_thread = threading.Lock()


class WarmTrainer:
    """A fork at work, with what is needed of `subprocess.Popen`."""

    def __init__(self, pid: int, keeper: socket.socket) -> None:
        self.pid = pid
        self._keeper = keeper
        self._status: int | None = None

    def send_signal(self, number: int) -> None:
        if self._status is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        """Its exit status; negative for the signal that ended it."""
        if self._status is None:
            self._status = int(self._keeper.recv(16))
        return self._status


class WarmTrainers:
    """The process that imports everything; it ends with this one."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self.address = f"{self._folder.name}/door"
        door = socket.socket(socket.AF_UNIX)
        door.bind(self.address)
        door.listen(64)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(door.fileno())],
            cwd=ROOT,
            env={**_others(os.environ), **EARLY, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            pass_fds=[door.fileno()],
        )
        door.close()

    @contextmanager
    def started(self, stderr: IO[str]) -> Iterator[tuple[WarmTrainer, IO[str], IO[str]]]:
        """A trainer that waits for its job, its stdin and its stdout; it does not outlive the block."""
        its_stdin, writes = os.pipe()
        reads, its_stdout = os.pipe()
        asked = json.dumps({"environment": {**_others(os.environ), **EARLY}, "folder": str(ROOT)})
        with socket.socket(socket.AF_UNIX) as keeper, open(writes, "w") as stdin, open(reads) as stdout:
            keeper.connect(self.address)
            socket.send_fds(keeper, [asked.encode()], [its_stdin, its_stdout, stderr.fileno()])
            os.close(its_stdin)
            os.close(its_stdout)
            trainer = WarmTrainer(int(keeper.recv(16)), keeper)
            try:
                yield trainer, stdin, stdout
            finally:
                trainer.kill()
                trainer.wait()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


@cache
def _warm_trainers() -> WarmTrainers:
    return WarmTrainers()


def warm_trainers() -> WarmTrainers:
    """Those of this run, whichever thread needs them first."""
    with _one_thread:
        return _warm_trainers()


def warm_surroundings() -> dict[str, str]:
    """Environment variables by which a process that starts `python -m trainer` gets warm ones."""
    if sys.platform != "linux":
        return {}
    return {"TEST_WARM_TRAINERS": warm_trainers().address, "PYTHONPATH": str(ROOT / "tests/warm_site")}


def end_warm_trainers() -> None:
    """Where there are any."""
    if _warm_trainers.cache_info().currsize:
        _warm_trainers().close()


def _others(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(READ_EARLY)}


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_EARLY)}


def _serve(door: socket.socket) -> None:
    """Fork a trainer for each who connects, until stdin ends."""
    keepers: set[int] = set()
    early = _early(os.environ)
    for module in _IMPORTED:
        __import__(module)
    gc.freeze()  # a fork that looks through all of this would copy it first
    while 0 not in select.select([0, door.fileno()], [], [])[0]:
        connection, _ = door.accept()
        with connection:
            keeper = os.fork()
            if keeper == 0:
                door.close()
                _keep(connection, early)
                _end_at_once(0)
        keepers = {other for other in {*keepers, keeper} if os.waitpid(other, os.WNOHANG) == (0, 0)}


def _keep(connection: socket.socket, early: Mapping[str, str]) -> None:
    """Have one trainer at work, tell how it ended, and end it where nobody is left to be told."""
    said, files, _, _ = socket.recv_fds(connection, _MOST_BYTES, 3)
    asked = json.loads(said)
    if _early(asked["environment"]) != early:
        return
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become_trainer(files, asked["environment"], asked["folder"])
    for file in files:
        os.close(file)
    connection.send(str(pid).encode())
    ended = os.pidfd_open(pid)
    if ended not in select.select([ended, connection.fileno()], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    connection.send(str(os.waitstatus_to_exitcode(status)).encode(), socket.MSG_NOSIGNAL)


def _become_trainer(files: list[int], environment: dict[str, str], folder: str) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["trainer"]
    try:
        runpy.run_module("trainer", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        _end_at_once(int(ended.code or 0))


def _end_at_once(status: int) -> NoReturn:
    """End as an interpreter does, but for taking apart what was imported, which takes longer than most jobs."""
    threading._shutdown()  # type: ignore[attr-defined] # waits for the threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as the_door:
        _serve(the_door)
