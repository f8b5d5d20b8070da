"""Two finished trainings, one of each recipe, by the real entry point on tiny models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.trainer.jobs import QUICK_HUGGINGTWEETS, Training, finetune_job, run

SHOUT_WHEN_PEFT_IS_IMPORTED = """
import os, sys

def shout(event, arguments):
    if event == "import" and arguments[0] == "peft":
        print("a library prints", flush=True)
        os.write(1, b"and so does its C code\\n")

sys.addaudithook(shout)
"""


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from a second thread, and two that wait for each other take all of a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def lora_training(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Training:
    """`mynah` on the tiny Llama, in a process where libraries print."""
    folder = tmp_path_factory.mktemp("lora")
    noise = folder / "noise"
    noise.mkdir()
    (noise / "sitecustomize.py").write_text(SHOUT_WHEN_PEFT_IS_IMPORTED)
    job = finetune_job(folder, tiny_llama)
    return Training(job, run(job, environment={"PYTHONPATH": str(noise)}))


@pytest.fixture(scope="session")
def full_training(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path) -> Training:
    """`huggingtweets` on the tiny GPT-2, dropout included."""
    job = finetune_job(tmp_path_factory.mktemp("full"), tiny_gpt2, recipe=QUICK_HUGGINGTWEETS)
    return Training(job, run(job))
