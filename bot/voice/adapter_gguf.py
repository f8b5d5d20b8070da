"""A peft LoRA adapter, written as the GGUF adapter that llama.cpp loads.

The tensors' names, the metadata and the order of q's and k's rows are those of llama.cpp's `convert_lora_to_gguf.py`
and of `LlamaModel.permute` in its `convert_hf_to_gguf.py`: llama.cpp rotates neighbouring pairs where transformers
rotates halves. What llama.cpp cannot express is refused, never approximated.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from gguf import GGUFType, GGUFWriter
from numpy.typing import NDArray

from bot.errors import VoiceError
from bot.voice.base import UnsupportedSpeaker
from bot.voice.gguf_header import GgufHeader, read_header

_FORMAT = b"1"
"""Part of the cache's key: raise it when the conversion changes."""

_FILES = ("adapter_model.safetensors", "adapter_config.json")

_MODULES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_TENSOR_NAME = re.compile(r"base_model\.model\.model\.layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])\.weight")

_PLAIN_LORA: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "use_rslora": (None, False),
    "use_dora": (None, False),
    "fan_in_fan_out": (None, False),
    "bias": (None, "none"),
    "rank_pattern": (None, {}),
    "alpha_pattern": (None, {}),
    "modules_to_save": (None, []),
    "layer_replication": (None, []),
}
"""The values of adapter_config.json that mean no more than W + alpha / r * B A, the same on every layer."""


@dataclass(frozen=True, slots=True)
class _Adapter:
    alpha: float
    tensors: dict[str, NDArray[np.float32]]


_CONVERTING = threading.Lock()


def adapter_gguf(adapter: Path, base: Path) -> Path:
    """The GGUF file of a peft adapter for `base`, converted once for each content and kept beside the folder.

    Its tensors are float32: for float16 ones llama.cpp rounds what it multiplies them with, and gains no speed.

    Raises UnsupportedSpeaker where llama.cpp cannot express the adapter, VoiceError where its files are missing or
    broken.
    """
    try:
        files = [(adapter / name).stat() for name in _FILES]
    except OSError as error:
        raise _unreadable(adapter, error) from error
    path = _converted(adapter, base, tuple((file.st_ino, file.st_size, file.st_mtime_ns) for file in files))
    return path if path.is_file() else _convert_files(adapter, base)


@lru_cache(maxsize=1024)
def _converted(adapter: Path, base: Path, _files: tuple[tuple[int, int, int], ...]) -> Path:
    """Megabytes need not be hashed for each word that is said: `_files` tells one state of them from another."""
    return _convert_files(adapter, base)


def _convert_files(adapter: Path, base: Path) -> Path:
    header = read_header(base)
    weights, config = _read_files(adapter)
    shape = f"{header.architecture} {header.heads} {header.key_value_heads}".encode()
    key = hashlib.sha256(b"\0".join([_FORMAT, shape, config, weights])).hexdigest()[:16]
    path = adapter.parent / f"{adapter.name}.{key}.gguf"
    with _CONVERTING:  # two answers may ask for the same new adapter at once
        if not path.is_file():
            _write(path, _convert(weights, config, header), header.architecture)
            _drop_older(adapter, path)
    return path


def _read_files(adapter: Path) -> tuple[bytes, bytes]:
    try:
        weights, config = ((adapter / name).read_bytes() for name in _FILES)
    except OSError as error:
        raise _unreadable(adapter, error) from error
    return weights, config


def _unreadable(adapter: Path, error: OSError) -> VoiceError:
    return VoiceError(
        f"The adapter in {adapter} cannot be read: {error.strerror}.", "Write it again from the database."
    )


def _convert(weights: bytes, config: bytes, header: GgufHeader) -> _Adapter:
    if header.architecture != "llama":
        raise UnsupportedSpeaker(f"Adapters for {header.architecture} bases are not converted for llama.cpp.")
    alpha = _read_alpha(config)
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, tensor in _read_tensors(weights).items():
        match = _TENSOR_NAME.fullmatch(name)
        if match is None or match[2] not in _MODULES:
            raise UnsupportedSpeaker(f"The adapter changes {name}, which llama.cpp has no place for.")
        module = _MODULES[match[2]]
        if match[3] == "B" and module == "attn_q":
            tensor = _interleave_rope_rows(tensor, header.heads)
        elif match[3] == "B" and module == "attn_k":
            tensor = _interleave_rope_rows(tensor, header.key_value_heads)
        tensors[f"blk.{match[1]}.{module}.weight.lora_{match[3].lower()}"] = tensor
    return _Adapter(alpha, tensors)


def _read_alpha(config: bytes) -> float:
    try:
        settings: dict[str, Any] = json.loads(config)
        alpha = float(settings["lora_alpha"])
    except (ValueError, KeyError, TypeError) as error:
        raise VoiceError("The adapter's adapter_config.json is broken.", "Write it again from the database.") from error
    for name, plain in _PLAIN_LORA.items():
        if settings.get(name) not in plain:
            raise UnsupportedSpeaker(f"The adapter uses {name} = {settings[name]!r}, which llama.cpp cannot express.")
    return alpha


def _read_tensors(weights: bytes) -> dict[str, NDArray[np.float32]]:
    try:
        stored = safetensors.deserialize(weights)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise VoiceError("The adapter's weights are broken.", "Write them again from the database.") from error
    return {name: _as_float32(name, entry) for name, entry in stored}


def _as_float32(name: str, entry: dict[str, Any]) -> NDArray[np.float32]:
    data, shape = entry["data"], entry["shape"]
    match entry["dtype"]:
        case "F32":
            return np.frombuffer(data, "<f4").reshape(shape)
        case "F16":
            return np.frombuffer(data, "<f2").astype(np.float32).reshape(shape)
        case "BF16":
            # numpy has no bfloat16: it is the upper half of a float32.
            return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
        case other:
            raise UnsupportedSpeaker(f"The adapter's {name} is stored as {other}, which is not converted.")


def _interleave_rope_rows(tensor: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """`LlamaModel.permute` of llama.cpp's convert_hf_to_gguf.py, on the rows of lora_B."""
    rows = tensor.shape[0]
    paired = tensor.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(rows, -1)
    return np.ascontiguousarray(paired)


def _write(path: Path, adapter: _Adapter, architecture: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        writer = GGUFWriter(beside, architecture)
        writer.add_type(GGUFType.ADAPTER)
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", adapter.alpha)
        for name, tensor in adapter.tensors.items():
            writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        beside.replace(path)
    except OSError as error:
        raise VoiceError(
            f"The adapter cannot be written to {path.parent}: {error.strerror}.", "Make room or make it writable."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _drop_older(adapter: Path, current: Path) -> None:
    for path in adapter.parent.glob(f"{adapter.name}.{'?' * 16}.gguf"):
        if path != current:
            path.unlink(missing_ok=True)
