"""Processes of Mynah that need not import first, which takes longer than what a test has them do.

One process has imported torch, peft and transformers and waits, another one what the bot imports; each trainer, plain
voice or bot is a fork of it, with the files, environment and folder of whoever asks, and runs the entry point of
`python -m …`. What is started elsewhere asks by `tests/warm_site`. Who differs in what is read before those imports is
answered with nothing, and fails.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("HF_", "TRANSFORMERS_", "TOKENIZERS_", "MKL_", "TORCH")
READ_EARLY = (*LIBRARIES, "LANG", "LC_", "TZ", "PYTHONIO")
"""Environment variables. How many threads OpenMP has and how they wait is for whoever asks to know: it has one here."""
READ_ANEW = ("HF_TOKEN", "HF_HUB_OFFLINE", "TORCHINDUCTOR_CACHE_DIR")
"""They may differ from one to the next; torch sets the last one itself, wherever it is imported."""
EARLY = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
"""As the trainer says them before it imports."""
TRAINERS = ("trainer.finetune", "trainer.judge", "trainer.adopt", "trainer.export", "trainer.score", "bot.voice.plain")
BOTS = ("bot.cli",)
ENTRIES = {"trainer": "trainer.__main__", "bot.voice.worker": "bot.voice.worker", "bot.cli": "bot.cli"}
_MOST_BYTES = 2**20
_one_thread = threading.Lock()


class WarmProcess:
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


class Warm:
    """The process that has imported what its forks need; it ends with this one."""

    def __init__(self, imports: Sequence[str]) -> None:
        self._folder = TemporaryDirectory()
        self.address = f"{self._folder.name}/door"
        door = socket.socket(socket.AF_UNIX)
        door.bind(self.address)
        door.listen(64)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(door.fileno()), *imports],
            cwd=ROOT,
            env={**_without_libraries(os.environ), **EARLY, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            pass_fds=[door.fileno()],
        )
        door.close()

    @contextmanager
    def trainer(
        self, stderr: IO[str], environment: Mapping[str, str]
    ) -> Iterator[tuple[WarmProcess, IO[str], IO[str]]]:
        """A trainer that waits for its job, its stdin and its stdout; it does not outlive the block."""
        its_stdin, writes = os.pipe()
        reads, its_stdout = os.pipe()
        surroundings = {**_without_libraries(os.environ), **environment}
        asked = json.dumps({"command": ["trainer"], "environment": surroundings, "folder": str(ROOT)})
        with socket.socket(socket.AF_UNIX) as keeper, open(writes, "w") as stdin, open(reads) as stdout:
            keeper.connect(self.address)
            socket.send_fds(keeper, [asked.encode()], [its_stdin, its_stdout, stderr.fileno()])
            os.close(its_stdin)
            os.close(its_stdout)
            trainer = WarmProcess(int(keeper.recv(16)), keeper)
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


_all: list[Warm] = []


@cache
def _warm(imports: Sequence[str]) -> Warm:
    _all.append(Warm(imports))
    return _all[-1]


def warm(imports: Sequence[str]) -> Warm:
    """The one of this run with those imports, whichever thread needs it first."""
    with _one_thread:
        return _warm(imports)


def warm_surroundings(*, bots: bool = False) -> dict[str, str]:
    """Environment variables by which who starts a trainer or a plain voice gets a warm one; on request, also a bot."""
    if sys.platform != "linux":
        return {}
    doors = {"trainer": warm(TRAINERS).address, "bot.voice.worker plain": warm(TRAINERS).address}
    if bots:
        doors["bot.cli"] = warm(BOTS).address
    return {"TEST_WARM_DOORS": json.dumps(doors), "PYTHONPATH": str(ROOT / "tests/warm_site")}


def end_warm_processes() -> None:
    """Where there are any."""
    while _all:
        _all.pop().close()


def _without_libraries(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which libraries are told nothing."""
    return {name: value for name, value in environment.items() if not name.startswith(LIBRARIES)}


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in ({**environment, **EARLY}).items()
        if name.startswith(READ_EARLY) and name not in READ_ANEW
    }


def _serve(door: socket.socket, imports: Sequence[str]) -> None:
    """Fork a process for each who connects, until stdin ends."""
    keepers: set[int] = set()
    early = _early(os.environ)
    for module in imports:
        importlib.import_module(module)
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
    """Have one process at work, tell how it ended, and end it where nobody is left to be told."""
    said, files, _, _ = socket.recv_fds(connection, _MOST_BYTES, 3)
    asked = json.loads(said)
    if _early(asked["environment"]) != early:
        return
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(asked["command"], files, asked["environment"], asked["folder"])
    for file in files:
        os.close(file)
    connection.send(str(pid).encode())
    ended = os.pidfd_open(pid)
    if ended not in select.select([ended, connection.fileno()], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    connection.send(str(os.waitstatus_to_exitcode(status)).encode(), socket.MSG_NOSIGNAL)


def _become(command: Sequence[str], files: Sequence[int], environment: Mapping[str, str], folder: str) -> NoReturn:
    """What follows `python -m` in a command."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update({**EARLY, **environment})
    os.chdir(folder)
    if constants := sys.modules.get("huggingface_hub.constants"):
        importlib.reload(constants)
    entry = importlib.import_module(ENTRIES[command[0]])
    sys.argv = [str(entry.__file__), *command[1:]]
    try:
        status = entry.main()
    except SystemExit as ended:
        status = ended.code
    _end_at_once(int(status or 0))


def _end_at_once(status: int) -> NoReturn:
    """End as an interpreter does, but for taking apart what was imported, which takes longer than most jobs."""
    threading._shutdown()  # type: ignore[attr-defined] # waits for the threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as the_door:
        _serve(the_door, sys.argv[2:])
