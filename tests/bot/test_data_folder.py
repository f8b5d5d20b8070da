"""The data folder: one bot at a time, and a lock that dies with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.data_folder import DataFolder
from bot.errors import AlreadyRunning, SettingsError

HOLD = """
import sys, time
from pathlib import Path
from bot.data_folder import DataFolder
with DataFolder(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(60)
"""


def test_folder_is_private_to_its_owner(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "deep" / "data")
    with folder.held():
        assert folder.root.stat().st_mode & 0o077 == 0
        assert folder.lock.stat().st_mode & 0o077 == 0


def test_git_sees_nothing_of_a_new_folder_and_one_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    new, used = DataFolder(tmp_path / "new"), DataFolder(tmp_path / "used")
    used.root.mkdir()
    (used.root / "code.py").touch()
    for folder in (new, used):
        folder.create()
    assert "*" in (new.root / ".gitignore").read_text().splitlines()
    assert [path.name for path in used.root.iterdir()] == ["code.py"]


def test_holder_is_known_while_it_holds(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.holder() is None
    with folder.held():
        assert folder.holder() == os.getpid()
    assert folder.holder() is None


def test_second_process_is_told_who_holds_it_until_that_is_killed(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunning, match=f"process {first.pid}"), folder.held():
            pass
        first.send_signal(signal.SIGKILL)
    with folder.held():
        assert folder.holder() == os.getpid()


def test_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot be made"), DataFolder(tmp_path / "file" / "data").held():
        pass
