"""What the voice must know of a GGUF base before it loads: its shape and its special tokens.

`gguf.GGUFReader` maps every value of the file to an array and takes 2.6 s for SmolLM2's vocabulary; a first reply has
two. This reads the metadata in one pass, as the format's specification lays it out
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), and never looks at a tensor.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from bot.errors import VoiceError

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING = 8
_ARRAY = 9
_CONTROL = 3
_LONGEST_STRING_BYTES = 1 << 26

Value = bool | int | float | str | list["Value"]


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """`special_tokens` maps the text of each control token to its id."""

    architecture: str
    heads: int
    key_value_heads: int
    special_tokens: dict[str, int]


@lru_cache(maxsize=8)
def read_header(path: Path) -> GgufHeader:
    """Read a base's header. Raises VoiceError where the file is missing or is no whole GGUF file."""
    try:
        with path.open("rb") as file:
            metadata = _read_metadata(file)
        return _header(metadata)
    except FileNotFoundError:
        raise VoiceError(f"The base model's file {path} is missing.", "Run `mynah doctor` to see what to do.") from None
    except (OSError, struct.error, ValueError, KeyError, TypeError) as error:
        raise VoiceError(
            f"The base model's file {path} is not a readable GGUF file.", "Fetch it again with `mynah setup`."
        ) from error


def _header(metadata: dict[str, Value]) -> GgufHeader:
    architecture = str(metadata["general.architecture"])
    heads = metadata[f"{architecture}.attention.head_count"]
    key_value_heads = metadata.get(f"{architecture}.attention.head_count_kv", heads)
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    if not (isinstance(heads, int) and isinstance(key_value_heads, int)):
        raise ValueError("head counts differ between layers")
    if not (isinstance(tokens, list) and isinstance(types, list)):
        raise ValueError("the vocabulary is not a list")
    special = {
        str(token): index for index, (token, kind) in enumerate(zip(tokens, types, strict=True)) if kind == _CONTROL
    }
    return GgufHeader(architecture, heads, key_value_heads, special)


def _read_metadata(file: BinaryIO) -> dict[str, Value]:
    magic, version, _tensors, count = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version < 2:
        raise ValueError("not a GGUF file")
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = _read_string(file)
        (kind,) = struct.unpack("<I", file.read(4))
        metadata[key] = _read_value(file, kind)
    return metadata


def _read_value(file: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _read_string(file)
    if kind == _ARRAY:
        item_kind, length = struct.unpack("<IQ", file.read(12))
        if item_kind in _NUMBERS:
            pattern = struct.Struct(f"<{length}{_NUMBERS[item_kind]}")
            return list(pattern.unpack(file.read(pattern.size)))
        return [_read_value(file, item_kind) for _ in range(length)]
    pattern = struct.Struct(f"<{_NUMBERS[kind]}")
    value: Value = pattern.unpack(file.read(pattern.size))[0]
    return value


def _read_string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST_STRING_BYTES:
        raise ValueError("a string is longer than any real one")
    return file.read(length).decode("utf-8", errors="replace")
