"""Which processor trains, and in which precision: chosen by what the machine has, unless the job says so."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]

_BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")


@dataclass(frozen=True)
class Place:
    """A device and the precision of its arithmetic."""

    device: torch.device
    precision: Precision

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bf16" else torch.float32


def choose(device: str = "auto", precision: str = "auto") -> Place:
    """CUDA, else Apple's MPS, else the CPU; bf16 where the processor multiplies it in hardware."""
    chosen = torch.device(_best_device() if device == "auto" else device)
    if precision == "fp32" or (precision == "auto" and not _has_bf16(chosen)):
        return Place(chosen, "fp32")
    return Place(chosen, "bf16")


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    """Linux lists the processor's features; elsewhere fp32 is the safe choice."""
    if platform.system() != "Linux":
        return False
    words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return any(flag in words for flag in _BF16_FLAGS)
