"""Safetensors files, read and written one tensor at a time, with neither torch nor numpy.

The format (https://github.com/huggingface/safetensors#format): eight bytes little-endian with the length of a JSON
header, the header (name → dtype, shape, offsets), then the tensors' bytes without gaps. A file is untrusted: nothing
is allocated by what its header claims, and every offset is checked before a byte is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.errors import StorageError

_MAX_HEADER_BYTES = 100_000_000
"""The limit of the reference implementation."""

DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor without its bytes."""

    name: str
    dtype: str
    """As safetensors writes it: BF16, F32, …"""
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * DTYPE_BYTES[self.dtype]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    dtype: str
    shape: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=32)]
    data_offsets: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


class _Header(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Entry] = Field(init=False)

    metadata: dict[str, str] = Field(default={}, alias="__metadata__")


def tensors_of(path: Path) -> Iterator[tuple[TensorSpec, bytes]]:
    """Each tensor of a file with its bytes, in the order of the file; one at a time is in memory.

    Raises StorageError for anything but a well-formed safetensors file, before the first tensor where it can be told.
    """
    with path.open("rb") as file:
        for spec in _layout(path, file, os.fstat(file.fileno()).st_size):
            data = file.read(spec.size_bytes)
            if len(data) != spec.size_bytes:
                raise _malformed(path, "it became shorter while it was read")
            yield spec, data


def write_tensors(path: Path, tensors: Iterable[TensorSpec], read: Iterable[bytes]) -> None:
    """Write a file that safetensors loads, and see it on the disk; `read` yields the bytes in the order of `tensors`.

    Widest types should come first, as in the reference implementation, so that each tensor lies aligned.
    """
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for spec in tensors:
        begin, end = end, end + spec.size_bytes
        entries[spec.name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": [begin, end]}
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for data in read:
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _layout(path: Path, file: BinaryIO, size_bytes: int) -> list[TensorSpec]:
    """The tensors in the order of the file, which is left where the first begins; they fill the rest of it."""
    header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > min(size_bytes - 8, _MAX_HEADER_BYTES):
        raise _malformed(path, f"its header claims {header_bytes:,} bytes")
    try:
        header = _Header.model_validate_json(file.read(header_bytes))
    except ValidationError as error:
        where = ".".join(str(part)[:80] for part in error.errors()[0]["loc"])
        raise _malformed(path, f"its header cannot be read{f' at {where}' if where else ''}") from error
    position, layout = 0, []
    for name, entry in sorted((header.model_extra or {}).items(), key=lambda item: item[1].data_offsets):
        spec = TensorSpec(_checked_name(path, name), _checked_dtype(path, name, entry.dtype), tuple(entry.shape))
        if entry.data_offsets != [position, position + spec.size_bytes]:
            raise _malformed(path, f"tensor {name[:80]!r} does not lie where its header says")
        layout.append(spec)
        position += spec.size_bytes
    if 8 + header_bytes + position != size_bytes:
        rest_bytes = size_bytes - 8 - header_bytes
        raise _malformed(path, f"its tensors need {position:,} bytes, and {rest_bytes:,} follow its header")
    return layout


def _checked_name(path: Path, name: str) -> str:
    if not name or len(name) > 1_000 or any(sign in name for sign in "/\\\0"):
        raise _malformed(path, f"{name[:80]!r} is no name for a tensor")
    return name


def _checked_dtype(path: Path, name: str, dtype: str) -> str:
    if dtype not in DTYPE_BYTES:
        raise _malformed(path, f"tensor {name[:80]!r} is of the unknown type {dtype[:20]!r}")
    return dtype


def _malformed(path: Path, why: str) -> StorageError:
    return StorageError(
        f"{path.name} is not a sound safetensors file: {why}.", "Bring the file again, or train the model again."
    )
