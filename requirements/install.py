"""Set-up: brings .venv in line with requirements/*.lock and pyproject.toml.

`python3 requirements/install.py run` installs what Mynah runs on; `… dev` also what its tests and linters need.
Standard library only, for whichever Python a machine has. It writes inside the checkout alone, compiles nothing,
leaves standard input and output to whom it was started for, and speaks on standard error.

A step is done again when what it was made from has changed. What is done is kept in .venv/mynah-setup.json, which says
`unfinished` from before the first change until after the last: a .venv found so was interrupted, no package in it can
be trusted, and it is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / "mynah-setup.json"
WAIT = CHECKOUT / ".venv.lock"
CONSTRAINTS = VENV / "constraints.txt"
LOG = VENV / "mynah-setup.log"
OLDEST, NEWEST = (3, 11), (3, 14)
"""Between these, every package of the lock files has a wheel."""


class SetUpFailed(Exception):
    """Says what happened and what to do, in sentences for the person."""


@dataclass(frozen=True)
class Step:
    """A part of the set-up. `made_from` are the files whose change asks for it again."""

    name: str
    says: str
    made_from: tuple[str, ...]
    pip: tuple[str, ...]


def steps(level: str) -> tuple[Step, ...]:
    """What `level` needs, in order."""
    locked = ("install", "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r")
    torch = _torch_requirement()
    run = (
        Step("run", "packages that Mynah runs on", ("run.lock",), (*locked, "requirements/run.lock")),
        # PyTorch's builds (CPU, CUDA, ROCm) differ in their hashes, so pip takes the one that this machine is set to.
        Step(
            "torch",
            f"PyTorch ({torch}), the largest of all",
            ("run.lock", f"={torch}"),
            ("install", "--only-binary", ":all:", "-c", str(CONSTRAINTS), torch),
        ),
        Step(
            "mynah", "Mynah itself", ("../pyproject.toml",), ("install", "--no-deps", "--no-build-isolation", "-e", ".")
        ),
    )
    return (
        (*run, Step("dev", "test tools", ("dev.lock",), (*locked, "requirements/dev.lock"))) if level == "dev" else run
    )


def set_up(level: str) -> None:
    """Brings .venv in line; does nothing, at once, where it is. Raises SetUpFailed."""
    if not pending(level):
        return
    with _alone() as lock:
        todo = pending(level)  # another set-up may have done it meanwhile
        if not todo:
            return
        done = _done()
        if done is None:
            done = {}
            _create_venv(first_time=not VENV.exists())
        for number, (step, digest) in enumerate(todo, start=1):
            _say(f"[{number}/{len(todo)}] installing {step.says}")
            _write_state(done, unfinished=True)
            _pip(step, lock)
            done[step.name] = digest
        _write_state(done, unfinished=False)
        _say("done")


def pending(level: str) -> list[tuple[Step, str]]:
    """The steps that are to be done, each with the digest of what it is made from."""
    done = _done() or {}
    digests = [(step, _digest(step)) for step in steps(level)]
    return [(step, digest) for step, digest in digests if done.get(step.name) != digest]


def _digest(step: Step) -> str:
    digest = hashlib.sha256("\0".join(step.pip).encode())
    for source in step.made_from:
        is_text = source.startswith("=")
        digest.update(source.encode() if is_text else (CHECKOUT / "requirements" / source).read_bytes())
    return digest.hexdigest()


def _torch_requirement() -> str:
    # tomllib is not there before 3.11, and this must be able to say that 3.11 is needed.
    lines = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.strip().strip('",') for line in lines if line.strip().startswith('"torch=='))


def _done() -> dict[str, str] | None:
    """Digests of the steps that .venv has behind it; None where there is no .venv that can be built upon."""
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))
        # A virtual environment holds absolute paths: one that was moved or copied does not work.
        usable = PYTHON.exists() and not state["unfinished"] and state["checkout"] == str(CHECKOUT)
        return dict(state["done"]) if usable else None
    except FileNotFoundError:
        return {} if PYTHON.exists() else None  # made by hand: the steps bring it in line
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_state(done: dict[str, str], *, unfinished: bool) -> None:
    beside = STATE.with_suffix(".new")
    beside.write_text(json.dumps({"checkout": str(CHECKOUT), "unfinished": unfinished, "done": done}), encoding="utf-8")
    beside.replace(STATE)


@contextmanager
def _alone() -> Iterator[int]:
    """One set-up at a time. The lock is this descriptor's: it goes with the last process that has it, pip included."""
    with WAIT.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another set-up is at work here; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _create_venv(*, first_time: bool) -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    reason = "" if first_time else "the last set-up did not finish, so starting over: "
    _say(f"{reason}making .venv with Python {version}. This takes some minutes, and only this once")
    if VENV.is_symlink():
        raise SetUpFailed(
            f"{VENV} is a link to somewhere else; set-up installs nothing outside the checkout. Remove it."
        )
    if VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    _write_state({}, unfinished=True)
    makers = (
        [sys.executable, "-m", "venv", str(VENV)],
        [sys.executable, "-m", "virtualenv", "--quiet", "--no-download", str(VENV)],
        [sys.executable, "-m", "venv", "--without-pip", str(VENV)],
    )
    for maker in makers:
        made = subprocess.run(maker, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
        if made and _pip_command() is not None:
            return
    shutil.rmtree(VENV)
    raise SetUpFailed(
        "This Python can make no virtual environment: it has neither ensurepip, nor virtualenv, nor pip. "
        "On Debian or Ubuntu `apt install python3-venv` brings what is missing; then run the same command again."
    )


def _pip_command() -> list[str] | None:
    """The pip inside .venv, else this Python's own one, working on .venv."""
    for command in ([str(PYTHON), "-m", "pip"], [sys.executable, "-m", "pip", "--python", str(PYTHON)]):
        works = subprocess.run([*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if works.returncode == 0:
            return command
    return None


def _pip(step: Step, lock: int) -> None:
    command = _pip_command()
    if command is None:
        raise SetUpFailed(f"There is no pip in {VENV}. Delete that folder and run the same command again.")
    # The same versions, without their hashes: pip asks a hash of every package as soon as one has it.
    locked = (CHECKOUT / "requirements/run.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.rstrip("\\ ") for line in locked if line and line[0] not in "# "]
    CONSTRAINTS.write_text("\n".join(pins), encoding="utf-8")
    quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0", "PYTHONNOUSERSITE": "1"}
    # standard input may be a pipe of commands for Mynah, standard output belongs to it
    with LOG.open("wb") as log:
        status = subprocess.run(
            [*command, *step.pip, *quiet],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),  # should this process be killed, the next set-up waits until pip has ended too
            check=False,
        ).returncode
    if status != 0:
        print(_errors(), file=sys.stderr)
        raise SetUpFailed(
            f"pip could not install {step.says}; what it says is above, and all of it in {LOG}. "
            "Check the connection and the free disk space, and run the same command again."
        )


def _errors() -> str:
    """What pip said from its first error on, or else in the end."""
    said = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
    first = next((number for number, line in enumerate(said) if line.startswith("ERROR:")), max(0, len(said) - 10))
    return "\n".join(said[first:])


def _suitable_python() -> str | None:
    """This Python, or another on PATH that is new enough and not too new; None where there is none."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    names = (f"python{OLDEST[0]}.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1))
    return next((path for path in map(shutil.which, names) if path), None)


def _say(text: str) -> None:
    print(f"mynah set-up: {text}", file=sys.stderr, flush=True)


def main() -> int:
    level = sys.argv[1] if len(sys.argv) == 2 else ""
    if level not in ("run", "dev"):
        print("usage: install.py run|dev", file=sys.stderr)
        return 2
    python = _suitable_python()
    if python is None:
        version = ".".join(map(str, sys.version_info[:3]))
        _say(f"Mynah needs Python 3.11 to 3.14, and python3 is {version} here. On Debian: `apt install python3-venv`")
        return 1
    if python != sys.executable:
        return subprocess.run([python, __file__, level], stdin=subprocess.DEVNULL, check=False).returncode
    try:
        set_up(level)
    except SetUpFailed as failure:
        _say(str(failure))
        return 1
    except OSError as error:
        _say(f"{error.strerror}: {error.filename}. Set-up writes in {CHECKOUT} alone; see that it can")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; the same command starts it again")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
