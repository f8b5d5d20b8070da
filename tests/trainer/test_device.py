"""Where a training runs and in which precision."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from trainer.device import choose
from trainer.protocol import JobFailed


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Linux machine with a plain processor and no accelerator, until a test gives it one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    cpu_has(monkeypatch, "fpu sse avx2")
    return monkeypatch


def cpu_has(machine: pytest.MonkeyPatch, flags: str) -> None:
    machine.setattr(Path, "read_text", lambda *_, **__: f"processor\t: 0\nflags\t\t: {flags}\n")


def chosen(device: str = "auto", precision: str = "auto") -> tuple[str, str]:
    place = choose(device, precision)
    return place.device.type, place.precision


def test_bare_machine_trains_on_its_processor_in_fp32(bare_machine: pytest.MonkeyPatch) -> None:
    assert chosen() == ("cpu", "fp32")
    assert choose().dtype == torch.float32


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", "bf16"])
def test_processor_that_multiplies_bf16_uses_it(flag: str, bare_machine: pytest.MonkeyPatch) -> None:
    cpu_has(bare_machine, f"fpu {flag} sse")
    assert chosen() == ("cpu", "bf16")
    assert choose().dtype == torch.bfloat16


def test_other_systems_do_not_list_features_so_fp32_is_safe(bare_machine: pytest.MonkeyPatch) -> None:
    cpu_has(bare_machine, "avx512_bf16")
    bare_machine.setattr(platform, "system", lambda: "Darwin")
    assert chosen() == ("cpu", "fp32")


@pytest.mark.parametrize(("in_hardware", "precision"), [(True, "bf16"), (False, "fp32")])
def test_gpu_comes_first(in_hardware: bool, precision: str, bare_machine: pytest.MonkeyPatch) -> None:
    bare_machine.setattr(torch.cuda, "is_available", lambda: True)
    bare_machine.setattr(torch.backends.mps, "is_available", lambda: True)
    bare_machine.setattr(torch.cuda, "is_bf16_supported", lambda **_: in_hardware)
    assert chosen() == ("cuda", precision)


def test_apples_gpu_comes_before_the_processor(bare_machine: pytest.MonkeyPatch) -> None:
    bare_machine.setattr(torch.backends.mps, "is_available", lambda: True)
    assert chosen() == ("mps", "fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_the_job_says_is_done(precision: str, bare_machine: pytest.MonkeyPatch) -> None:
    assert chosen("cpu", precision) == ("cpu", precision)
    bare_machine.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen("cuda", precision) == ("cuda", precision)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_refused(device: str, bare_machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobFailed, match=f"finds no device '{device}' on this machine"):
        choose(device)
