from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sqlite_utils import Database

from storage import clones, personas, weights
from storage.clones import Clone
from storage.database import open_database
from storage.errors import StorageError
from storage.ids import new_id
from storage.tensor_file import DTYPE_BYTES, TensorSpec, tensors_of, write_tensors

CONFIG = b'{"peft_type": "LORA"}'


@dataclass(frozen=True)
class Tensor:
    spec: TensorSpec
    data: bytes


@st.composite
def models(draw: st.DrawFn) -> list[Tensor]:
    letters = st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"])
    names = draw(st.lists(st.text(letters, min_size=1, max_size=20), unique=True, max_size=5))
    made = []
    for name in names:
        if name == "__metadata__":
            continue
        dtype = draw(st.sampled_from(sorted(DTYPE_BYTES)))
        spec = TensorSpec(name, dtype, tuple(draw(st.lists(st.integers(0, 4), max_size=3))))
        made.append(Tensor(spec, draw(st.binary(min_size=spec.size_bytes, max_size=spec.size_bytes))))
    return made


@pytest.fixture(scope="module")
def shared_db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for many generated examples, each with a clone of its own."""
    with open_database(tmp_path_factory.mktemp("weights") / "mynah.db") as db:
        yield db


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder as a LoRA training leaves it."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    torch.manual_seed(0)
    save_file(
        {
            "q.lora_A.weight": torch.randn(4, 8).bfloat16(),
            "q.lora_B.weight": torch.zeros(8, 4),
            "step": torch.tensor(3),
        },
        folder / "adapter_model.safetensors",
    )
    (folder / "adapter_config.json").write_bytes(CONFIG)
    return folder


@pytest.fixture
def saved(fresh_db: Database, clone: Clone, adapter: Path) -> str:
    weights.save_model(fresh_db, clone.id, "lora", "smollm2-135m", "b2:base", adapter)
    return clone.id


def another_clone(db: Database) -> str:
    return clones.enqueue(db, personas.ensure(db, new_id()).id, "mynah", "{}", "gpt2", 1, "console", None).id


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flip_a_bit(db: Database, table: str, column: str) -> None:
    rowid, data = db.execute(f"select rowid, {column} from {table} order by rowid limit 1").fetchone()
    changed = bytes([data[0] ^ 1]) + data[1:]
    db.execute(f"update {table} set {column} = ? where rowid = ?", [changed, rowid])


@given(model=models(), method=st.sampled_from(["lora", "full"]))
def test_weights_come_back_as_they_were(
    shared_db: Database, tmp_path_factory: pytest.TempPathFactory, model: list[Tensor], method: weights.Method
) -> None:
    folder = tmp_path_factory.mktemp("model")
    write_tensors(folder / "any-name.safetensors", [each.spec for each in model], [each.data for each in model])
    clone_id = another_clone(shared_db)
    weights.save_model(shared_db, clone_id, method, "gpt2", "b2:base", folder)
    out = folder / "out"
    weights.write_model(shared_db, clone_id, out)
    name = {"lora": "adapter_model.safetensors", "full": "model.safetensors"}[method]
    written = {spec.name: Tensor(spec, data) for spec, data in tensors_of(out / name)}
    assert written == {each.spec.name: each for each in model}


def test_torch_loads_what_was_written(fresh_db: Database, saved: str, adapter: Path, tmp_path: Path) -> None:
    weights.write_model(fresh_db, saved, tmp_path / "deep" / "out")
    before = load_file(adapter / "adapter_model.safetensors")
    after = load_file(tmp_path / "deep" / "out" / "adapter_model.safetensors")
    assert after.keys() == before.keys()
    assert all(after[name].dtype == before[name].dtype and torch.equal(after[name], before[name]) for name in before)
    assert (tmp_path / "deep" / "out" / "adapter_config.json").read_bytes() == CONFIG


def test_a_model_is_described_without_its_weights(fresh_db: Database, saved: str) -> None:
    model = weights.find_model(fresh_db, saved)
    assert model is not None
    assert (model.clone_id, model.method, model.base, model.base_hash) == (saved, "lora", "smollm2-135m", "b2:base")
    assert weights.find_model(fresh_db, "gone") is None
    assert clones.overview(fresh_db)[0].model_size_bytes == 4 * 8 * 2 + 8 * 4 * 4 + 8


def test_equal_tensors_are_stored_once(fresh_db: Database, saved: str, adapter: Path) -> None:
    again = another_clone(fresh_db)
    weights.save_model(fresh_db, again, "lora", "smollm2-135m", "b2:base", adapter)
    assert fresh_db.table("tensors").count == 3
    assert fresh_db.table("model_tensors").count == 6


def test_the_same_bytes_of_another_shape_are_another_tensor(fresh_db: Database, clone: Clone, tmp_path: Path) -> None:
    specs = [TensorSpec("a", "U8", (2, 2)), TensorSpec("b", "U8", (4,)), TensorSpec("c", "I8", (4,))]
    write_tensors(tmp_path / "m.safetensors", specs, [b"abcd"] * 3)
    weights.save_model(fresh_db, clone.id, "full", "gpt2", "b2:base", tmp_path)
    assert fresh_db.table("tensors").count == 3


def test_saving_again_replaces_the_model(fresh_db: Database, saved: str, adapter: Path, tmp_path: Path) -> None:
    save_file({"only": torch.ones(2)}, adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").unlink()
    weights.save_model(fresh_db, saved, "lora", "gpt2", "b2:other", adapter)
    weights.write_model(fresh_db, saved, tmp_path / "out")
    assert content(tmp_path / "out").keys() == {"adapter_model.safetensors"}
    assert fresh_db.table("tensors").count == 1


def test_sharded_weights_become_one_file(fresh_db: Database, clone: Clone, tmp_path: Path) -> None:
    folder = tmp_path / "sharded"
    folder.mkdir()
    save_file({"a": torch.ones(2)}, folder / "model-00001-of-00002.safetensors")
    save_file({"b": torch.zeros(3)}, folder / "model-00002-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    (folder / "config.json").write_text("{}")
    weights.save_model(fresh_db, clone.id, "full", "gpt2", "b2:base", folder)
    weights.write_model(fresh_db, clone.id, tmp_path / "out")
    assert content(tmp_path / "out").keys() == {"model.safetensors", "config.json"}
    assert load_file(tmp_path / "out" / "model.safetensors").keys() == {"a", "b"}


def test_a_tensor_in_two_files_is_refused_and_nothing_stored(fresh_db: Database, clone: Clone, tmp_path: Path) -> None:
    for name in ("one.safetensors", "two.safetensors"):
        save_file({"a": torch.ones(2)}, tmp_path / name)
    with pytest.raises(StorageError, match="more than one file"):
        weights.save_model(fresh_db, clone.id, "full", "gpt2", "b2:base", tmp_path)
    assert (fresh_db.table("models").count, fresh_db.table("tensors").count) == (0, 0)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl", "model.pth"])
def test_pickles_are_never_taken(fresh_db: Database, clone: Clone, adapter: Path, tmp_path: Path, name: str) -> None:
    only = tmp_path / "only"
    only.mkdir()
    (only / name).write_bytes(b"\x80\x04.")
    with pytest.raises(StorageError, match="a pickle"):
        weights.save_model(fresh_db, clone.id, "full", "gpt2", "b2:base", only)
    (adapter / name).write_bytes(b"\x80\x04.")
    weights.save_model(fresh_db, clone.id, "lora", "gpt2", "b2:base", adapter)
    weights.write_model(fresh_db, clone.id, tmp_path / "out")
    assert name not in content(tmp_path / "out")


def test_a_folder_without_weights_is_refused(fresh_db: Database, clone: Clone, tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(StorageError):
            weights.save_model(fresh_db, clone.id, "full", "gpt2", "b2:base", folder)


def test_a_link_out_of_the_folder_is_refused(fresh_db: Database, clone: Clone, adapter: Path) -> None:
    (adapter / "vocab.txt").symlink_to("/etc/passwd")
    with pytest.raises(StorageError, match="is a link"):
        weights.save_model(fresh_db, clone.id, "lora", "gpt2", "b2:base", adapter)


def test_a_damaged_file_leaves_the_model_before_in_place(
    fresh_db: Database, saved: str, adapter: Path, tmp_path: Path
) -> None:
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError, match="not a sound safetensors file"):
        weights.save_model(fresh_db, saved, "lora", "gpt2", "b2:base", adapter)
    weights.verify(fresh_db, saved)


@pytest.mark.parametrize(
    ("table", "column", "named"), [("tensors", "data", "Tensor"), ("model_files", "content", "File")]
)
def test_a_flipped_bit_is_found_and_nothing_is_written(
    fresh_db: Database, saved: str, tmp_path: Path, table: str, column: str, named: str
) -> None:
    weights.verify(fresh_db, saved)
    flip_a_bit(fresh_db, table, column)
    before = set(tmp_path.iterdir())
    differs = f"{named} '.*' in the database is not what was stored"
    with pytest.raises(StorageError, match=differs):
        weights.verify(fresh_db, saved)
    with pytest.raises(StorageError, match=differs):
        weights.write_model(fresh_db, saved, tmp_path / "out")
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("statement", ["set shape = '[9999999, 99999999]'", "set shape = '['", "set dtype = 'F99'"])
def test_an_altered_description_is_found(fresh_db: Database, saved: str, statement: str) -> None:
    fresh_db.execute(f"update tensors {statement}")
    with pytest.raises(StorageError, match="not what was stored"):
        weights.verify(fresh_db, saved)


def test_an_altered_file_name_writes_nowhere_else(fresh_db: Database, saved: str, tmp_path: Path) -> None:
    fresh_db.execute("update model_files set name = '../escaped.json'")
    with pytest.raises(StorageError, match="not what was stored"):
        weights.write_model(fresh_db, saved, tmp_path / "out")
    assert not (tmp_path / "escaped.json").exists()


def test_a_folder_in_use_is_left_alone(fresh_db: Database, saved: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    weights.write_model(fresh_db, saved, tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(StorageError, match="already exists"):
        weights.write_model(fresh_db, saved, tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_place_that_cannot_be_written_is_said_in_words(fresh_db: Database, saved: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be read or written"):
        weights.write_model(fresh_db, saved, tmp_path / "file" / "out")


def test_a_clone_without_weights_says_so(fresh_db: Database, clone: Clone, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="has no weights"):
        weights.write_model(fresh_db, clone.id, tmp_path / "out")


def test_prune_deletes_what_no_model_uses(fresh_db: Database, saved: str) -> None:
    assert weights.prune(fresh_db) == 0
    fresh_db.execute("delete from models")
    assert weights.prune(fresh_db) == 3
    assert fresh_db.table("tensors").count == 0


def test_the_written_header_says_pt(fresh_db: Database, saved: str, tmp_path: Path) -> None:
    weights.write_model(fresh_db, saved, tmp_path / "out")
    raw = (tmp_path / "out" / "adapter_model.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert length % 8 == 0
    assert json.loads(raw[8 : 8 + length])["__metadata__"] == {"format": "pt"}
