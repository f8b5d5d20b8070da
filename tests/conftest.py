"""What tests of several rooms share: tiny real models, made once a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import tiny_gpt2 as make_tiny_gpt2
from tests.tiny import tiny_llama_gguf


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file of a tiny Llama."""
    return tiny_llama_gguf(tmp_path_factory.mktemp("llama") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny GPT-2 and its tokenizer."""
    return make_tiny_gpt2(tmp_path_factory.mktemp("gpt2"))
