"""What the bot imports of the trainer loads no model library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.trainer.jobs import ROOT

HEAVY = ("torch", "transformers", "peft", "numpy", "safetensors", "gguf", "huggingface_hub")


@pytest.mark.parametrize(
    "module",
    ["trainer.protocol", "trainer.report", "trainer.manifest", "trainer.recipes", "trainer.catalog", "trainer.corpus"],
)
def test_module_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {set(HEAVY)!r}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
