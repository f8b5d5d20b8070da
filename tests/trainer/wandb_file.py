"""Reads what `wandb` writes offline: a `.wandb` file is a LevelDB log of protobuf records.

The format: github.com/google/leveldb, doc/log_format.md, after a header of seven bytes of W&B's own (":W&B", a magic
number, a version).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from wandb.proto import wandb_internal_pb2

_RECORD: Any = wandb_internal_pb2.Record  # type: ignore[attr-defined]  # it has its classes only when it is imported
_BLOCK = 32_768
_HEADER = struct.Struct("<IHB")
_FULL, _LAST = 1, 4


@dataclass(frozen=True)
class RunFile:
    """One run on disk."""

    path: Path
    records: tuple[Any, ...]

    @property
    def id(self) -> str:
        return self.path.stem.removeprefix("run-")

    @property
    def config(self) -> dict[str, JsonValue]:
        (run,) = (record.run for record in self.records if record.HasField("run"))
        return {item.key: json.loads(item.value_json) for item in run.config.update}

    @property
    def rows(self) -> list[dict[str, JsonValue]]:
        """The history, a row a step."""
        histories = [record.history for record in self.records if record.HasField("history")]
        return [
            {"_step": history.step.num}
            | {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in history.item}
            for history in histories
        ]

    @property
    def artifacts(self) -> list[Any]:
        return [record.artifact for record in self.records if record.HasField("artifact")]

    def artifact(self, name: str) -> Any:
        (artifact,) = (artifact for artifact in self.artifacts if artifact.name == name)
        return artifact


def runs_in(folder: Path) -> list[RunFile]:
    """Every run in a tracking folder, in the order of their names."""
    return [read(path) for path in sorted(folder.glob("wandb/*/*.wandb"))]


def read(path: Path) -> RunFile:
    return RunFile(path, tuple(_RECORD.FromString(entry) for entry in _entries(path.read_bytes())))


def _entries(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B"
    place, whole = 7, b""
    while place + _HEADER.size <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER.size:
            place += left
            continue
        _, size, kind = _HEADER.unpack_from(data, place)
        place += _HEADER.size
        whole += data[place : place + size]
        place += size
        if kind in (_FULL, _LAST):
            yield whole
            whole = b""
