"""What a training leaves: a folder of weights, and what was said about it, so that it can be said again.

If the bot dies between the last event and its own record of it, the same job answers at once from here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from trainer.base import Model
from trainer.files import describe
from trainer.protocol import EVENT, AnyEvent, Saved
from trainer.recipes import Recipe
from trainer.speech import speak_like
from trainer.stream import Emit

FOLDER = "result"
_SAID = "said.json"


def save_weights(model: Model, tokenizer: PreTrainedTokenizerBase, recipe: Recipe, work_dir: Path) -> Saved:
    """Write the result beside and rename it: an adapter in half precision, or a whole model with its tokenizer."""
    beside, folder = work_dir / f"{FOLDER}.part", work_dir / FOLDER
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    if isinstance(model, PeftModel):
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.half()
        model.save_pretrained(str(beside))
        (beside / "README.md").unlink(missing_ok=True)  # peft's template of a card; Mynah writes its own
    else:
        speak_like(model, tokenizer, recipe.sampling)
        model.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
    beside.replace(folder)
    files = tuple(describe(path) for path in sorted(folder.iterdir()) if path.is_file())
    return Saved(method=recipe.method, files=files)


def keep(work_dir: Path, fingerprint: str, events: Sequence[AnyEvent]) -> None:
    """Remember what was said last."""
    said = {"fingerprint": fingerprint, "events": [event.model_dump(mode="json") for event in events]}
    beside = work_dir / f"{_SAID}.part"
    beside.write_text(json.dumps(said), encoding="utf-8")
    os.replace(beside, work_dir / _SAID)


def say_again(work_dir: Path, fingerprint: str, emit: Emit) -> bool:
    """Say the end of this very job again where it has one on disk; False where it has to be done."""
    try:
        said = json.loads((work_dir / _SAID).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    if said["fingerprint"] != fingerprint:
        return False
    for event in said["events"]:
        emit(EVENT.validate_python(event))
    return True
