"""What tests of several rooms share: tiny real models, made once a run, and data folders, one with a person in it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.invented import invented_posts, write_csv
from tests.running import Home
from tests.servers.x import LocalX
from tests.servers.x_clock import Clock
from tests.warm import end_warm_processes

settings.register_profile("mynah", deadline=None, max_examples=40)  # a busy machine is no mistake of ours
settings.load_profile("mynah")


@pytest.fixture(scope="session", autouse=True)
def no_warm_processes_left() -> Iterator[None]:
    yield
    end_warm_processes()


LONGEST_FIRST = (
    "test_tracking_trouble.py",
    "test_versions.py",
    "test_cloning.py",
    "test_kills.py",
    "test_install.py",
    "test_sharing.py",
    "test_tracking_training.py",
    "test_tracking.py",
    "test_cli.py",
    "test_process.py",
    "test_x_clone.py",
    "test_authorship.py",
    "test_workers.py",
    "test_adopt.py",
    "test_progress.py",
    "test_journey.py",
    "test_failures.py",
    "test_logprobs.py",
    "test_people_cli.py",
    "test_whatever_happens.py",
)
"""Files that take longest, as `--durations=0` tells, so that no worker is left with one of them in the end."""


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One more than there are cores: a fifth of a run is waiting for processes, pauses and answers."""
    return (yield) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within a file, the order stays."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture
def clock() -> Clock:
    """It stands still until a test turns it."""
    return Clock()


@pytest.fixture
def x(clock: Clock) -> Iterator[LocalX]:
    """A local X on that clock."""
    with LocalX(clock) as server:
        yield server


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file of a tiny Llama."""
    from tests.tiny import tiny_llama_gguf  # imports torch, which many a run of a few files does without

    return tiny_llama_gguf(tmp_path_factory.mktemp("llama") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny GPT-2 and its tokenizer."""
    from tests.tiny import tiny_gpt2 as make_tiny_gpt2

    return make_tiny_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="session")
def ada_home(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A data folder in which @ada speaks, made by `mynah clone`; tests take copies of it."""
    folder = tmp_path_factory.mktemp("ada")
    home = Home(folder / "data", tiny_llama, is_warm=True)
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
    return Home(tmp_path / "data", tiny_llama, is_warm=True)
