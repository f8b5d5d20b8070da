"""A clone whose training is tracked without a key, and `mynah wandb sync` once there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.data_folder import DataFolder
from storage import evaluations, personas
from storage.evaluations import TrackedRun
from tests.invented import invented_posts, write_csv
from tests.running import Home
from tests.servers.wandb import serving

pytestmark = pytest.mark.timeout(300)

KEY = "k" * 40


@pytest.fixture(scope="module")
def tracked(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A data folder in which @cyd was cloned, tracked offline for want of a key."""
    folder = tmp_path_factory.mktemp("tracked")
    home = Home(
        folder / "data", tiny_llama, {"MYNAH_TRACKING__MODE": "auto", "MYNAH_QUALITY__SAMPLES": "0"}, is_warm=True
    )
    file = write_csv(folder / "posts.csv", "cyd", invented_posts(70, 3))
    done = home.run("clone", str(file), "--seed", "1", timeout_s=180)
    assert (done.returncode, done.stderr) == (0, "")
    assert "@cyd is ready." in done.stdout
    return home


def the_clone(home: Home) -> str:
    with home.database() as db:
        cyd = personas.find(db, "cyd")
    assert cyd is not None
    assert cyd.current_clone_id is not None
    return cyd.current_clone_id


def runs(home: Home) -> list[TrackedRun]:
    with home.database() as db:
        return evaluations.runs(db, the_clone(home))


def test_training_without_a_key_leaves_its_runs_in_a_folder_of_the_clone(tracked: Home) -> None:
    folder = DataFolder(tracked.data).tracking
    assert [path.name for path in folder.iterdir()] == [the_clone(tracked)]
    assert len(list(folder.rglob("*.wandb"))) == 2
    clone = the_clone(tracked)
    assert runs(tracked) == [
        TrackedRun("preprocess", f"{clone}-preprocess", ""),
        TrackedRun("train", f"{clone}-train", ""),
    ]


def test_sync_uploads_them_once_and_keeps_where_they_are(tracked: Home, tmp_path: Path) -> None:
    home = tracked.copy(tmp_path / "data")
    with serving() as server:
        home.settings.update(WANDB_API_KEY=KEY, MYNAH_URLS__WANDB=server.url)
        done = home.run("wandb", "sync", timeout_s=180)
        assert (done.returncode, done.stderr) == (0, "")
        again = home.run("wandb", "sync")
    clone = the_clone(home)
    assert set(server.runs) == {f"{clone}-preprocess", f"{clone}-train"}
    assert all(artifact["artifactCollectionName"] for artifact in server.artifacts)
    addresses = [f"{server.url}/me/huggingtweets/runs/{clone}-{kind}" for kind in ("preprocess", "train")]
    assert done.stdout.splitlines() == addresses
    assert [run.url for run in runs(home)] == addresses
    assert (again.returncode, again.stdout) == (0, "There are no offline runs to sync.\n")
    assert not [path for path in home.data.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_sync_without_a_key_says_where_to_get_one(tracked: Home) -> None:
    done = tracked.run("wandb", "sync")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "mynah: There is no key for W&B. Set WANDB_API_KEY in .env; wandb.ai/authorize shows yours.\n"
    )
    assert [run.url for run in runs(tracked)] == ["", ""]


def test_sync_where_nothing_was_tracked_is_no_error(home: Home) -> None:
    done = home.run("wandb", "sync")
    assert (done.returncode, done.stdout, done.stderr) == (0, "There are no offline runs to sync.\n", "")
