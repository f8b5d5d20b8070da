"""A stored model as files: made when they are needed, made again when they are gone, never trusted when damaged."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlite_utils import Database

from bot import config
from bot.data_folder import DataFolder
from bot.errors import NotFound, TrainerFailed
from bot.speakers import Speakers
from storage import personas, posts
from storage.database import Store, Writer, open_database
from storage.errors import StorageError
from storage.posts import Post
from tests.running import Home


@pytest_asyncio.fixture
async def store(ada: Home) -> AsyncIterator[Store]:
    store = Writer(DataFolder(ada.data).database)
    await store.start()
    yield store
    await store.close()


@pytest.fixture
def speakers(ada: Home, store: Store) -> Speakers:
    return Speakers(config.load(None, ada.environ()), store)


async def test_adapter_is_written_beside_the_base_it_was_trained_on(ada: Home, speakers: Speakers) -> None:
    ready = await speakers.find("@Ada")
    speaker = await speakers.speaker(ready)
    assert (speaker.base, speaker.model, speaker.key) == (ada.base, None, ready.clone.id)
    assert speaker.adapter is not None
    assert {path.name for path in speaker.adapter.iterdir()} >= {"adapter_model.safetensors", "adapter_config.json"}


async def test_cache_can_be_deleted_at_any_time(ada: Home, speakers: Speakers) -> None:
    ready = await speakers.find("ada")
    first = (await speakers.speaker(ready)).adapter
    assert first is not None
    weights = (first / "adapter_model.safetensors").read_bytes()
    shutil.rmtree(DataFolder(ada.data).cache)
    again = (await speakers.speaker(ready)).adapter
    assert again is not None
    assert (again / "adapter_model.safetensors").read_bytes() == weights


async def test_damaged_weights_are_not_spoken_with(ada: Home, speakers: Speakers, store: Store) -> None:
    ready = await speakers.find("ada")
    shutil.rmtree(DataFolder(ada.data).cache / "models", ignore_errors=True)
    await store.run(_flip_a_byte_of_each_tensor)
    with pytest.raises(StorageError, match="is not what was stored"):
        await speakers.speaker(ready)


async def test_persona_without_a_voice_says_what_to_do(speakers: Speakers, store: Store) -> None:
    bea = await store.run(personas.ensure, "bea")
    with pytest.raises(NotFound, match=r"@bea has no ready clone\. Make one: /clone @bea file=…"):
        await speakers.find("bea")
    with pytest.raises(NotFound, match=r"There is no persona @carl\. Known are: @ada, @pigeon_mgmt\."):
        await speakers.find("@carl")
    await store.run(posts.add, bea.id, [Post("csv", "1", "bea", None, "hello")])
    with pytest.raises(NotFound, match=r"There is no persona @carl\. Known are: @ada, @bea, @pigeon_mgmt\."):
        await speakers.find("@carl")


async def test_export_of_a_model_whose_base_is_gone_fails_in_a_sentence(ada: Home, tmp_path: Path) -> None:
    db = open_database(DataFolder(ada.data).database)
    db.execute("update models set base = '/gone/base.gguf'")
    db.conn.commit()
    db.close()
    shutil.rmtree(DataFolder(ada.data).cache)
    done = ada.run("export", "ada", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mynah: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


async def test_export_into_a_full_folder_is_refused(speakers: Speakers, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(TrainerFailed, match="is not empty"):
        await speakers.export("ada", tmp_path)
    assert (tmp_path / "mine.txt").read_text("utf-8") == "mine"


def _flip_a_byte_of_each_tensor(db: Database) -> None:
    rows = db.execute("select hash, data from tensors").fetchall()
    with db.atomic():
        for hash_, data in rows:
            db.execute("update tensors set data = ? where hash = ?", [bytes([data[0] ^ 1]) + data[1:], hash_])
