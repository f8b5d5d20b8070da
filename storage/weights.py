"""Weights: each tensor is stored once, under the hash of its content, and a model is a list of names and hashes.

The hash is over dtype, shape and bytes and carries its algorithm's name (`b2:` is BLAKE2b with 256 bits). It is the key
by which equal tensors of different clones are one row, and the proof, made again whenever weights are read, that they
are what was stored. Only safetensors are taken: a pickle can run code when it is opened, so none is ever read or kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlite_utils import Database

from storage.errors import StorageError
from storage.ids import utc_now, utc_time
from storage.tensor_file import DTYPE_BYTES, TensorSpec, tensors_of, write_tensors

Method = Literal["lora", "full"]

_WEIGHTS_NAME: dict[str, str] = {"lora": "adapter_model.safetensors", "full": "model.safetensors"}
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
_MAX_TENSOR_BYTES = 999_000_000
"""A row of SQLite holds 1,000,000,000 bytes unless compiled otherwise."""
_MAX_FILE_BYTES = 100_000_000
_SHAPE = re.compile(r"\[(\d{1,18}(, \d{1,18})*)?\]")


@dataclass(frozen=True, slots=True)
class Model:
    clone_id: str
    method: Method
    base: str
    base_hash: str
    created_at: datetime


def save_model(db: Database, clone_id: str, method: Method, base: str, base_hash: str, folder: Path) -> None:
    """Store the safetensors of a folder and the small files beside them, in one transaction.

    A model that the clone had before is replaced. Subfolders, pickles and the index of sharded weights are left out.
    Raises StorageError if there are no sound safetensors, or something is too large for a row.
    """
    with _trouble_in_words(folder), db.atomic():
        weights, others = _files_of(folder)
        db.execute("delete from models where clone_id = ?", [clone_id])
        db.execute(
            "insert into models (clone_id, method, base, base_hash, created_at) values (?, ?, ?, ?, ?)",
            [clone_id, method, base, base_hash, utc_now()],
        )
        for path in weights:
            _store_tensors(db, clone_id, path)
        for path in others:
            content = path.read_bytes()
            db.execute(
                "insert into model_files (clone_id, name, hash, content) values (?, ?, ?, ?)",
                [clone_id, path.name, _hash_file(content), content],
            )
        prune(db)


def find_model(db: Database, clone_id: str) -> Model | None:
    """What is stored for a clone, without its weights."""
    for row in db.query("select * from models where clone_id = ?", [clone_id]):
        return Model(**row | {"created_at": utc_time(row["created_at"])})
    return None


def write_model(db: Database, clone_id: str, folder: Path) -> None:
    """Write a clone's weights as one safetensors file with its other files; the folder appears whole or not at all.

    Every tensor and file is hashed again on the way out. Raises StorageError if one is not what was stored, if the
    clone has no model, or if the folder already holds something.
    """
    model = _model_of(db, clone_id)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder} already exists and is not an empty folder.", "Name a new folder.")
    with _trouble_in_words(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that the rename stays within one file system.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
            unfinished = Path(beside) / folder.name
            unfinished.mkdir()
            listed = _tensors_of_model(db, clone_id)
            write_tensors(
                unfinished / _WEIGHTS_NAME[model.method],
                [spec for spec, _ in listed],
                (_read_tensor(db, spec, hash_) for spec, hash_ in listed),
            )
            for name, content in _read_files(db, clone_id):
                (unfinished / name).write_bytes(content)
            unfinished.replace(folder)


def verify(db: Database, clone_id: str) -> None:
    """Hash every tensor and file of a clone again. Raises StorageError naming the first that is not what was stored."""
    _model_of(db, clone_id)
    for spec, hash_ in _tensors_of_model(db, clone_id):
        _read_tensor(db, spec, hash_)
    for _ in _read_files(db, clone_id):
        pass


def prune(db: Database) -> int:
    """Delete the tensors that no model uses; returns how many."""
    with db.atomic():
        return db.execute("delete from tensors where hash not in (select tensor_hash from model_tensors)").rowcount


@contextmanager
def _trouble_in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder} cannot be read or written: {error.strerror}.",
            "Check its permissions and the room on its disk.",
        ) from error


def _files_of(folder: Path) -> tuple[list[Path], list[Path]]:
    """The safetensors of a folder, and the other files that belong to the model."""
    if not folder.is_dir():
        raise StorageError(f"There is no folder {folder}.", "Name the folder that holds the model.")
    files = sorted(path for path in folder.iterdir() if path.is_symlink() or path.is_file())
    for path in files:
        if path.is_symlink():
            raise StorageError(f"{path} is a link, not a file.", "Copy the file itself into the folder.")
    weights = [path for path in files if path.suffix == ".safetensors"]
    if not weights:
        pickles = [path.name for path in files if path.suffix in _PICKLES]
        found = f"only {pickles[0]}, a pickle, which can run code when it is opened" if pickles else "none there"
        raise StorageError(
            f"Weights are taken from safetensors, and {folder} has {found}.",
            "Save the model again with safe_serialization=True.",
        )
    others = [
        path
        for path in files
        if path not in weights and path.suffix not in _PICKLES and not path.name.endswith(".safetensors.index.json")
    ]
    for path in others:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise StorageError(
                f"{path} is larger than the {_MAX_FILE_BYTES:,} bytes allowed beside weights.", "Move it elsewhere."
            )
    return weights, others


def _store_tensors(db: Database, clone_id: str, path: Path) -> None:
    for spec, data in tensors_of(path):
        if spec.size_bytes > _MAX_TENSOR_BYTES:
            raise StorageError(
                f"Tensor {spec.name!r} of {path.name} has {spec.size_bytes:,} bytes; "
                f"a row holds at most {_MAX_TENSOR_BYTES:,}.",
                "Train with a LoRA recipe, which leaves the large tensors in the base.",
            )
        if db.execute("select 1 from model_tensors where clone_id = ? and name = ?", [clone_id, spec.name]).fetchone():
            raise StorageError(
                f"Tensor {spec.name!r} is in more than one file of {path.parent}.",
                "Keep one set of weights in the folder.",
            )
        hash_ = _hash_tensor(spec, data)
        if not db.execute("select 1 from tensors where hash = ?", [hash_]).fetchone():
            db.execute(
                "insert into tensors (hash, dtype, shape, size_bytes, data) values (?, ?, ?, ?, ?)",
                [hash_, spec.dtype, _shape_text(spec), spec.size_bytes, data],
            )
        db.execute(
            "insert into model_tensors (clone_id, name, tensor_hash) values (?, ?, ?)",
            [clone_id, spec.name, hash_],
        )


def _model_of(db: Database, clone_id: str) -> Model:
    model = find_model(db, clone_id)
    if model is None:
        raise StorageError(f"Clone {clone_id} has no weights.", "Only a clone that is ready has; see /models.")
    return model


def _tensors_of_model(db: Database, clone_id: str) -> list[tuple[TensorSpec, str]]:
    """Specs with their hashes, widest types first, then by name."""
    rows = db.execute(
        """
        select name, dtype, shape, hash from model_tensors join tensors on hash = tensor_hash
        where clone_id = ? order by name
        """,
        [clone_id],
    ).fetchall()
    listed = []
    for name, dtype, shape, hash_ in rows:
        if dtype not in DTYPE_BYTES or _SHAPE.fullmatch(shape) is None:
            raise _damaged(f"Tensor {name!r}")
        listed.append((TensorSpec(name, dtype, tuple(json.loads(shape))), hash_))
    return sorted(listed, key=lambda item: -DTYPE_BYTES[item[0].dtype])


def _read_tensor(db: Database, spec: TensorSpec, hash_: str) -> bytes:
    data: bytes
    (data,) = db.execute("select data from tensors where hash = ?", [hash_]).fetchone()
    if _hash_tensor(spec, data) != hash_:
        raise _damaged(f"Tensor {spec.name!r}")
    return data


def _read_files(db: Database, clone_id: str) -> Iterator[tuple[str, bytes]]:
    for name, hash_, content in db.execute(
        "select name, hash, content from model_files where clone_id = ? order by name", [clone_id]
    ):
        # A name is from a folder's listing; a database that someone altered must still not write elsewhere.
        if Path(name).name != name or _hash_file(content) != hash_:
            raise _damaged(f"File {name!r}")
        yield name, content


def _shape_text(spec: TensorSpec) -> str:
    return json.dumps(list(spec.shape))


def _hash_tensor(spec: TensorSpec, data: bytes) -> str:
    digest = hashlib.blake2b(f"{spec.dtype} {_shape_text(spec)}\n".encode(), digest_size=32)
    digest.update(data)
    return f"b2:{digest.hexdigest()}"


def _hash_file(content: bytes) -> str:
    return f"b2:{hashlib.blake2b(content, digest_size=32).hexdigest()}"


def _damaged(what: str) -> StorageError:
    return StorageError(
        f"{what} in the database is not what was stored: its hash differs.",
        "The disk may be failing: restore a backup, or train this clone again.",
    )
