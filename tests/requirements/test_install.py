"""Set-up, with the real script, the real pip and tiny packages instead of a package index."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.wheels import write_wheel

INSTALL = Path(__file__).resolve().parents[2] / "requirements" / "install.py"

# An editable wheel in a dozen lines, so that no build tool is needed.
BACKEND = """
from pathlib import Path
from zipfile import ZipFile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "mynah-0.1.0-py3-none-any.whl"
    info = "mynah-0.1.0.dist-info"
    with ZipFile(Path(wheel_directory) / name, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: mynah\\nVersion: 0.1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("mynah.pth", str(Path.cwd()))
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\\n{info}/WHEEL,,\\nmynah.pth,,\\n{info}/RECORD,,\\n")
    return name
"""

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "mynah"
version = "0.1.0"
dependencies = [
    "torch==0.0.1",
]
"""


class Checkout:
    """A small project with the real set-up script, and a folder of wheels that pip is confined to."""

    def __init__(self, root: Path) -> None:
        self.root = root / "a checkout"  # paths with spaces must do
        self.wheels = root / "wheels"
        self.home = root / "home"
        for folder in (self.root / "requirements", self.wheels, self.home):
            folder.mkdir(parents=True)
        shutil.copy(INSTALL, self.root / "requirements" / "install.py")
        (self.root / "backend.py").write_text(BACKEND, encoding="utf-8")
        (self.root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
        write_wheel(self.wheels, "torch", "0.0.1", {"__init__.py": b""})
        self.lock("run", "mynah_run_package", "1.0")
        self.lock("dev", "mynah_dev_package", "1.0")

    @property
    def state(self) -> Path:
        return self.root / ".venv" / "mynah-setup.json"

    def lock(self, level: str, package: str, version: str) -> None:
        wheel = write_wheel(self.wheels, package, version, {"__init__.py": f"version = '{version}'".encode()})
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        text = f"# made for tests\n{package}=={version} \\\n    --hash=sha256:{digest}\n"
        (self.root / "requirements" / f"{level}.lock").write_text(text, encoding="utf-8")

    def start(self, level: str) -> subprocess.Popen[str]:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
            **{"HOME": str(self.home), "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1"},
            "PIP_FIND_LINKS": f"{self.wheels.as_uri()} /nowhere",  # of which pip warns
        }
        return subprocess.Popen(
            [sys.executable, "requirements/install.py", level],
            cwd=self.root,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def set_up(self, level: str = "run") -> str:
        """What it said on standard error, where pip adds nothing; it must succeed and leave standard output alone."""
        process = self.start(level)
        out, err = process.communicate("/quit\n", timeout=100)
        assert (process.returncode, out) == (0, ""), err
        assert [line for line in err.splitlines() if not line.startswith("mynah set-up: ")] == []
        return err

    def has(self, *packages: str) -> bool:
        python = self.root / ".venv" / "bin" / "python"
        program = "import " + ", ".join(packages)
        return subprocess.run([python, "-c", program], capture_output=True, check=False).returncode == 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_each_level_installs_what_it_needs_once(checkout: Checkout) -> None:
    before = {path.name for path in checkout.root.iterdir()}
    assert "[3/3] installing Mynah itself" in checkout.set_up("run")
    assert checkout.has("mynah_run_package", "torch", "backend")
    assert not checkout.has("mynah_dev_package")
    assert "[1/1] installing test tools" in checkout.set_up("dev")
    assert checkout.has("mynah_dev_package")
    started = time.monotonic()
    assert checkout.set_up("dev") == ""
    assert time.monotonic() - started < 1
    assert {path.name for path in checkout.root.iterdir()} - before == {".venv", ".venv.lock"}


def test_changed_lock_is_installed_and_nothing_else(checkout: Checkout) -> None:
    checkout.set_up("dev")
    checkout.lock("dev", "mynah_dev_package", "2.0")
    said = checkout.set_up("dev")
    assert [line for line in said.splitlines() if "[" in line] == ["mynah set-up: [1/1] installing test tools"]


def test_killed_set_up_is_started_over(checkout: Checkout) -> None:
    killed = checkout.start("run")
    wait_for(killed, "[1/3]")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert json.loads(checkout.state.read_text("utf-8"))["unfinished"]
    assert "did not finish, so starting over" in checkout.set_up("run")
    assert checkout.has("mynah_run_package", "torch", "backend")


def test_pip_that_outlives_its_set_up_is_waited_for(checkout: Checkout) -> None:
    killed = checkout.start("run")
    wait_for(killed, "[1/3]")
    time.sleep(0.3)  # until it has called pip; where it has not, there is nothing to wait for
    killed.kill()
    killed.wait()
    said = checkout.set_up("run").splitlines()
    killed.communicate()
    assert [line for line in said if "waiting" in line] in ([], said[:1])
    assert checkout.has("mynah_run_package", "torch", "backend")


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    while text not in (line := process.stderr.readline()):
        assert line, f"it ended before it said {text}"


def test_two_at_once_wait_for_one_another(checkout: Checkout) -> None:
    first = checkout.start("run")
    wait_for(first, "making .venv")
    said = checkout.set_up("run")
    first.communicate()
    assert first.returncode == 0
    assert said == "mynah set-up: another set-up is at work here; waiting for it\n"


def test_moved_checkout_is_set_up_anew(checkout: Checkout) -> None:
    checkout.set_up("run")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert "making .venv" in checkout.set_up("run")
    assert checkout.has("backend")


def test_environment_made_by_hand_is_kept(checkout: Checkout) -> None:
    subprocess.run([sys.executable, "-m", "venv", checkout.root / ".venv"], check=True)
    (checkout.root / ".venv" / "mine").touch()
    assert "making .venv" not in checkout.set_up("run")
    assert (checkout.root / ".venv" / "mine").exists()


def test_package_with_another_hash_is_refused(checkout: Checkout) -> None:
    write_wheel(checkout.wheels, "mynah_run_package", "1.0", {"__init__.py": b"evil = True"})
    process = checkout.start("run")
    _, said = process.communicate()
    assert process.returncode == 1
    assert "DO NOT MATCH THE HASHES" in said and "/nowhere" not in said
    log = checkout.state.with_name("mynah-setup.log")
    assert said.splitlines()[-1].startswith("mynah set-up: pip could not install packages that Mynah runs on")
    assert f"all of it in {log}." in said and "/nowhere" in log.read_text("utf-8")
    assert "Traceback" not in said


def test_wrong_level_is_wrong_usage(checkout: Checkout) -> None:
    process = checkout.start("everything")
    _, said = process.communicate()
    assert (process.returncode, said) == (2, "usage: install.py run|dev\n")
