"""A process that is killed in the middle of a write leaves all of it or none, and loses nothing that it confirmed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage import clones, personas, posts, weights
from storage.database import check, open_database, open_readonly
from storage.tensor_file import TensorSpec, write_tensors

BATCH = 1_000
KILLS = 6

# Each child says on stdout what it has committed, and goes on until it is killed.
IMPORTING = f"""
import sys
from pathlib import Path
from storage import personas, posts
from storage.database import open_database
from storage.posts import Post

db = open_database(Path(sys.argv[1]))
ada = personas.ensure(db, "ada").id
start = posts.count(db, ada)
print(start, flush=True)
while True:
    posts.add(db, ada, (Post("csv", str(start + i), "", None, "hello " * 20) for i in range({BATCH})))
    start += {BATCH}
    print(start, flush=True)
"""

SAVING = """
import sys
from pathlib import Path
from storage import weights
from storage.database import open_database

db = open_database(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    for folder in sys.argv[3:]:
        weights.save_model(db, sys.argv[2], "full", folder, "b2:base", Path(folder))
"""


def run_and_kill(seed: int, script: str, *arguments: object) -> list[str]:
    """What the child said until it was killed, at a random moment after its first line."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.3))
        child.kill()
        said = [first, *child.stdout.readlines()]
        assert child.wait() == -9
    return [line.strip() for line in said if line.endswith("\n")]


def test_an_import_that_is_killed_is_whole_or_absent(db_path: Path) -> None:
    for seed in range(KILLS):
        confirmed = int(run_and_kill(seed, IMPORTING, db_path)[-1])
        with open_readonly(db_path) as listing:
            listed = personas.all(listing)
            stored = posts.count(listing, listed[0].id)
        with open_database(db_path) as db:
            assert check(db) == []
            assert posts.count(db, listed[0].id) == stored
        assert stored in (confirmed, confirmed + BATCH)


def test_a_model_whose_saving_is_killed_is_the_old_or_the_new(db_path: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        specs = [TensorSpec(f"layer.{i}", "U8", (200_000,)) for i in range(10)]
        write_tensors(folder / "model.safetensors", specs, [random.Random(str(folder)).randbytes(200_000)] * 10)
        (folder / "config.json").write_text(folder.name)
    with open_database(db_path) as db:
        ada = personas.ensure(db, "ada")
        clone_id = clones.enqueue(db, ada.id, "huggingtweets", "{}", "gpt2", 1, "console", None).id
        weights.save_model(db, clone_id, "full", str(folders[0]), "b2:base", folders[0])
    for seed in range(KILLS):
        run_and_kill(seed, SAVING, db_path, clone_id, *folders)
        with open_database(db_path) as db:
            assert check(db) == []
            model = weights.find_model(db, clone_id)
            assert model is not None
            out = tmp_path / f"out-{seed}"
            weights.write_model(db, clone_id, out)
            for name in ("model.safetensors", "config.json"):
                assert (out / name).read_bytes() == (Path(model.base) / name).read_bytes()
            assert db.table("tensors").count == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_first_start_that_is_killed_starts_again(db_path: Path, seed: int) -> None:
    opening = "import sys; from pathlib import Path; from storage.database import open_database; print()\n"
    opening += "sys.stdout.flush(); open_database(Path(sys.argv[1])); import time; time.sleep(60)"
    command = [sys.executable, "-c", opening, str(db_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.05))
        child.kill()
    with open_database(db_path) as db:
        assert check(db) == []
