"""The peer of the bench of the voice, in a process of its own: `transformers.pipeline`, as its documentation advises.

`python -m bench.voice_peer FOLDER`: a line `PRECISION COUNT TOKENS SEED` in on stdin; the seconds of that batch out.
Its guide to pipelines has them made once, given a dtype, and given lists with a batch size
(https://huggingface.co/docs/transformers/main_classes/pipelines); a decoder is padded on the left.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Pipeline, pipeline, set_seed
from transformers.utils import logging

from trainer.device import choose

PROMPT = "My dream is"
PRECISIONS = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if choose().precision == "bf16" else {})
"""Where the processor does not multiply bf16 itself, a batch in it takes some hundred times as long."""


def main(folder: Path) -> None:
    """Answer until stdin closes."""
    logging.set_verbosity_error()
    speakers = {name: _pipeline(folder, dtype) for name, dtype in PRECISIONS.items()}
    print("ready", flush=True)
    for line in sys.stdin:
        precision, count, tokens, seed = line.split()
        set_seed(int(seed))
        began = time.perf_counter()
        _speak(speakers[precision], int(count), int(tokens))
        print(time.perf_counter() - began, flush=True)


def _pipeline(folder: Path, dtype: torch.dtype) -> Pipeline:
    speaker: Any = pipeline("text-generation", model=str(folder), dtype=dtype, device="cpu")
    speaker.tokenizer.padding_side = "left"
    speaker.tokenizer.pad_token = "<|endoftext|>"
    return speaker  # type: ignore[no-any-return]


def _speak(speaker: Pipeline, count: int, tokens: int) -> None:
    texts: Any = speaker(
        [f"<|endoftext|>{PROMPT}"] * count,
        batch_size=count,
        max_new_tokens=tokens,
        do_sample=True,
        temperature=1.0,
        top_k=50,
        top_p=0.95,
        eos_token_id=0,
        pad_token_id=0,
    )
    if len(texts) != count:
        raise RuntimeError(f"{len(texts)} texts for {count} prompts")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
