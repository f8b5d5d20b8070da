"""The one folder that holds Mynah's state, and the lock by which one bot at a time has it.

The lock belongs to the operating system: it is gone with the process that held it, however that ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.errors import AlreadyRunning, SettingsError

_LOOKS_S = (0.02, 0.02, 0.02, 0.02, 0.0)


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where everything lies below MYNAH_DATA_DIR."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "mynah.db"

    @property
    def cache(self) -> Path:
        """What can be made again: converted bases, adapters as GGUF."""
        return self.root / "cache"

    @property
    def jobs(self) -> Path:
        """One folder for each training under way, with its checkpoints."""
        return self.root / "jobs"

    @property
    def uploads(self) -> Path:
        """Files that people handed over, until their posts are in the database."""
        return self.root / "uploads"

    @property
    def logs(self) -> Path:
        """What trainers wrote for people; never posts."""
        return self.root / "logs"

    @property
    def tracking(self) -> Path:
        """What W&B wrote, a folder for each clone."""
        return self.root / "wandb"

    @property
    def cards(self) -> Path:
        """Model cards, a folder for each clone; they can be made again."""
        return self.root / "cards"

    @property
    def lock(self) -> Path:
        return self.root / "mynah.lock"

    def create(self) -> None:
        """Make the folder, private to its owner and, in a checkout, out of git's sight.

        Raises SettingsError where that cannot be.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The data folder {self.root} cannot be made: {error.strerror}.",
                "Set MYNAH_DATA_DIR, or data_dir in config.toml, to a folder that you may write in.",
            ) from error
        with contextlib.suppress(OSError):  # nothing depends on it, and who cannot write is told so soon
            if next(self.root.iterdir(), None) is None:
                (self.root / ".gitignore").write_text("# people's posts lie here\n*\n", encoding="utf-8")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the folder to oneself. Raises AlreadyRunning, with the process that has it."""
        self.create()
        # Opened without truncating: the file says who holds it.
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"The data folder {self.root} cannot be written in: {error.strerror}.",
                "Check its permissions, or set MYNAH_DATA_DIR to a folder that you may write in.",
            ) from error
        try:
            if not _locked(descriptor):
                raise AlreadyRunning(
                    f"Another Mynah ({_named(self.holder())}) holds {self.root}.",
                    "Talk to that one or stop it, or start this one with another MYNAH_DATA_DIR.",
                )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def holder(self) -> int | None:
        """The process that has the folder: its id, 0 where it has not said so yet, None where nobody has it."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # whatever is wrong with the folder is told by who wants to have it
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.pread(descriptor, 32, 0).decode("ascii", "ignore").strip()
            return int(written) if written.isdigit() else 0
        else:
            return None
        finally:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Whether the lock is ours now. Somebody who only looks has it for a moment: a bot keeps it."""
    for wait_s in _LOOKS_S:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(wait_s)
        else:
            return True
    return False


def _named(pid: int | None) -> str:
    return f"process {pid}" if pid else "a process"
