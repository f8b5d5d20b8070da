"""What is converted for llama.cpp, what is refused, and what is kept."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file, save_file

from bot.errors import VoiceError
from bot.voice.adapter_gguf import adapter_gguf
from bot.voice.base import UnsupportedSpeaker
from tests.tiny import tiny_lora


@pytest.fixture
def adapter(tiny_llama: Path, tmp_path: Path) -> Path:
    return tiny_lora(tmp_path / "persona", tiny_llama, rank=4, alpha=8)


def test_adapter_is_written_as_llamacpp_reads_it(adapter: Path, tiny_llama: Path) -> None:
    reader = GGUFReader(adapter_gguf(adapter, tiny_llama))

    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.type"] == "adapter"
    assert fields["general.architecture"] == "llama"
    assert fields["adapter.type"] == "lora"
    assert fields["adapter.lora.alpha"] == 8.0
    assert len(reader.tensors) == 2 * 7 * 2
    names = {tensor.name for tensor in reader.tensors}
    assert {"blk.0.attn_q.weight.lora_a", "blk.1.ffn_down.weight.lora_b"} <= names


def test_requests_at_once_share_one_file(tiny_llama: Path, tmp_path: Path) -> None:
    for round_ in range(5):
        adapter = tiny_lora(tmp_path / str(round_), tiny_llama, rank=256, alpha=8)  # large: writing takes its time
        together = threading.Barrier(8)

        def ask(_: int, adapter: Path = adapter, together: threading.Barrier = together) -> Path:
            together.wait()
            return adapter_gguf(adapter, tiny_llama)

        with ThreadPoolExecutor(8) as askers:
            (path,) = set(askers.map(ask, range(8)))
        assert [path] == [file for file in tmp_path.iterdir() if file.name.startswith(f"{round_}.")]


def test_second_request_finds_the_first_ones_file(adapter: Path, tiny_llama: Path) -> None:
    first = adapter_gguf(adapter, tiny_llama)
    written = first.stat().st_mtime_ns

    assert adapter_gguf(adapter, tiny_llama) == first
    assert first.stat().st_mtime_ns == written
    assert sorted(path.name for path in adapter.parent.iterdir()) == [adapter.name, first.name]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(adapter: Path, tiny_llama: Path, dtype: torch.dtype) -> None:
    whole = _tensors(adapter_gguf(adapter, tiny_llama))
    weights = adapter / "adapter_model.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in load_file(weights).items()}, weights)

    half = _tensors(adapter_gguf(adapter, tiny_llama))

    assert all(np.allclose(half[name], whole[name], rtol=0.01, atol=1e-6) for name in whole)
    assert any((half[name] != whole[name]).any() for name in whole)


@pytest.mark.parametrize(
    "change",
    [
        {"use_rslora": True},
        {"use_dora": True},
        {"bias": "all"},
        {"rank_pattern": {"q_proj": 8}},
        {"alpha_pattern": {"q_proj": 8}},
        {"modules_to_save": ["lm_head"]},
        {"peft_type": "LOHA"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_llamacpp_cannot_express_is_refused(adapter: Path, tiny_llama: Path, change: dict[str, Any]) -> None:
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))

    with pytest.raises(UnsupportedSpeaker, match=next(iter(change))):
        adapter_gguf(adapter, tiny_llama)


def test_tensor_without_a_place_is_refused(adapter: Path, tiny_llama: Path) -> None:
    weights = adapter / "adapter_model.safetensors"
    save_file(load_file(weights) | {"base_model.model.lm_head.lora_A.weight": torch.zeros(4, 64)}, weights)

    with pytest.raises(UnsupportedSpeaker, match=r"lm_head\.lora_A"):
        adapter_gguf(adapter, tiny_llama)


def test_broken_or_missing_files_are_told(adapter: Path, tiny_llama: Path) -> None:
    weights = adapter / "adapter_model.safetensors"
    os.truncate(weights, 1000)
    with pytest.raises(VoiceError, match="weights are broken"):
        adapter_gguf(adapter, tiny_llama)

    weights.unlink()
    with pytest.raises(VoiceError, match="cannot be read"):
        adapter_gguf(adapter, tiny_llama)


def _tensors(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor.data.copy() for tensor in GGUFReader(path).tensors}
