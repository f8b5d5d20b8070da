"""Models as strangers publish them: a huggingtweets bot of 2021, and traps."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.tiny import END, tiny_tokenizer

HUGGINGTWEETS_CARD = """---
language: en
thumbnail: http://www.huggingtweets.com/some_body/1601267166.png
tags:
- huggingtweets
widget:
- text: "My dream is"
---

<div>
<div style="width: 132px; height:132px; border-radius: 50%; background-image: url('https://pbs.twimg.com/x.jpg')">
</div>
<div style="margin-top: 8px; font-size: 19px; font-weight: 800">{name} 🤖 AI Bot </div>
<div style="font-size: 15px; color: #657786">@some_body bot</div>
</div>

I was made with [huggingtweets](https://github.com/borisdayma/huggingtweets).
"""

LATER_HUGGINGTWEETS_CARD = """---
language: en
tags:
- huggingtweets
---

<div class="inline-flex flex-col" style="line-height: 1.5;">
    <div class="flex">
        <div
\t\t\tstyle="display:inherit; width: 92px; background-image: url(&#39;https://pbs.twimg.com/x.jpg&#39;)">
        </div>
    </div>
    <div style="text-align: center; margin-top: 3px; font-size: 16px; font-weight: 800">🤖 AI BOT 🤖</div>
    <div style="text-align: center; font-size: 16px; font-weight: 800">{name}</div>
    <div style="text-align: center; font-size: 14px;">@some_body</div>
</div>
"""

OF_OLD: dict[str, object] = {
    "_name_or_path": "gpt2",
    "gradient_checkpointing": False,
    "n_ctx": 512,
    "task_specific_params": {
        "text-generation": {
            "do_sample": True,
            "max_length": 120,
            "min_length": 10,
            "prefix": END,
            "temperature": 0.9,
            "top_p": 0.95,
        }
    },
    "torch_dtype": "float32",
    "transformers_version": "4.10.2",
}
"""What a config.json had in 2021, beside what it has today."""


class Mischief:
    """What a pickle can do: runs a command when it is opened."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._mark}",)


def huggingtweets_bot(folder: Path, tiny_gpt2: Path, card: str = HUGGINGTWEETS_CARD) -> Path:
    """A published bot: pickled weights with the buffers of then, a tokenizer in two files, and its card."""
    folder.mkdir(parents=True)
    weights: dict[str, Any] = dict(load_file(tiny_gpt2 / "model.safetensors"))
    for layer in range(2):
        mask = torch.tril(torch.ones(512, 512, dtype=torch.uint8)).view(1, 1, 512, 512)
        weights[f"transformer.h.{layer}.attn.bias"] = mask
        weights[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    weights["lm_head.weight"] = weights["transformer.wte.weight"]
    torch.save(weights, folder / "pytorch_model.bin")
    config = json.loads((tiny_gpt2 / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **OF_OLD}))
    bpe = json.loads(tiny_tokenizer().to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in bpe["merges"]]
    (folder / "vocab.json").write_text(json.dumps(bpe["vocab"]))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    marks = {"bos_token": END, "eos_token": END, "unk_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(marks))
    settings = {**marks, "add_prefix_space": False, "special_tokens_map_file": None, "name_or_path": "gpt2"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "training_args.bin").write_bytes(pickle.dumps({"lr": 1.372e-4}))
    (folder / "README.md").write_text(card.replace("{name}", "Some Body"), encoding="utf-8")
    return folder


def set_json(path: Path, **values: object) -> None:
    """Change settings in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
