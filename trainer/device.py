"""Which processor trains, and in which precision: chosen by what the machine has, unless the job says so."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from trainer.protocol import JobFailed

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
    """CUDA, else Apple's MPS, else the CPU; bf16 where the processor multiplies it in hardware.

    Raises:
        JobFailed: kind `bad_job` where the device that is asked for is not here.
    """
    if not _is_here(device):
        raise JobFailed(
            "bad_job",
            f"PyTorch {torch.__version__} finds no device {device!r} on this machine.",
            'Set device = "auto" in the section [training] of config.toml, or install the PyTorch of that device.',
        )
    chosen = torch.device(_best_device() if device == "auto" else device)
    if precision == "fp32" or (precision == "auto" and not _has_bf16(chosen)):
        return Place(chosen, "fp32")
    return Place(chosen, "bf16")


def _is_here(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_available()
    return device != "mps" or torch.backends.mps.is_available()


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
