"""The persona that ships with Mynah."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import bundled
from storage import clones, learning, personas, posts, weights
from storage.database import open_database
from tests.running import Home
from trainer.catalog import SMOLLM2


def test_example_is_installed_once_and_whole(tmp_path: Path) -> None:
    db = open_database(tmp_path / "mynah.db")
    assert bundled.install(db) is True
    assert bundled.install(db) is False

    persona = personas.find(db, bundled.bundled_handle())
    assert persona is not None and persona.bundled and persona.current_clone_id is not None
    clone = clones.get(db, persona.current_clone_id)
    assert (clone.state, clone.base, clone.version) == ("ready", SMOLLM2.name, 1)
    weights.verify(db, clone.id)
    assert posts.count(db, persona.id) == len(bundled.example_posts())
    assert learning.samples(db, clone.id)
    db.close()


def test_example_says_how_it_was_measured(tmp_path: Path) -> None:
    db = open_database(tmp_path / "mynah.db")
    bundled.install(db)
    (shown,) = clones.overview(db)
    assert shown.bits_per_byte_before is not None and shown.bits_per_byte_after is not None
    assert shown.bits_per_byte_after < shown.bits_per_byte_before - 0.3
    assert shown.posts_kept is not None and shown.posts_downloaded == len(bundled.example_posts())
    db.close()


def test_example_is_small_enough_to_ship() -> None:
    adapter = Path(bundled.__file__).parent / "example" / bundled.ADAPTER
    sizes = {path.name: path.stat().st_size for path in adapter.iterdir()}
    assert set(sizes) == {"adapter_config.json", "adapter_model.safetensors"}
    assert sum(sizes.values()) < 4_000_000


@pytest.mark.slow
def test_example_speaks_at_once_in_a_new_folder(home: Home) -> None:
    said = home.run("say", bundled.bundled_handle(), "My dream is", "-n", "5", "--seed", "1")
    lines = said.stdout.splitlines()
    assert (said.returncode, said.stderr) == (0, "")
    assert len(set(lines)) == 5
    assert all(line.startswith("My dream is ") for line in lines)
