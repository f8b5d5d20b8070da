"""What the bot's tests share: data folders, one of them with a person who was cloned already."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.invented import invented_posts, write_csv
from tests.running import Home


@pytest.fixture(scope="session")
def ada_home(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A data folder in which @ada speaks, made by `mynah clone`; tests take copies of it."""
    folder = tmp_path_factory.mktemp("ada")
    home = Home(folder / "data", tiny_llama)
    file = write_csv(folder / "posts.csv", "ada", invented_posts(90))
    done = home.run("clone", str(file), "--seed", "7")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "@ada is ready." in done.stdout
    return home


@pytest.fixture
def ada(ada_home: Home, tmp_path: Path) -> Home:
    """A copy of that folder for one test."""
    return ada_home.copy(tmp_path / "data")


@pytest.fixture
def home(tiny_llama: Path, tmp_path: Path) -> Home:
    """A data folder in which nothing has happened yet."""
    return Home(tmp_path / "data", tiny_llama)
