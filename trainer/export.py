"""A clone as a folder that `transformers.pipeline("text-generation", model=DIR)` loads, with no Mynah installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel

from trainer.base import Base, load_model, load_tokenizer, prepare
from trainer.files import describe
from trainer.protocol import ExportJob, JobFailed, Saved
from trainer.speech import speak_like
from trainer.stream import Emit


def export(job: ExportJob, emit: Emit) -> None:
    """Write the folder beside and rename it; it must not be there yet, or be empty.

    Raises:
        JobFailed: kind `bad_job` where the folder holds something, or cannot be made.
    """
    beside = _room_beside(job.out_dir)
    base = prepare(job.base, job.cache_dir, job.hub_url)
    tokenizer = load_tokenizer(base)
    model = load_clone(base, job.weights_dir)
    speak_like(model, tokenizer, job.sampling)
    model.save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    (beside / "chat_template.jinja").unlink(missing_ok=True)  # a clone posts; it does not chat
    if job.out_dir.is_dir():
        job.out_dir.rmdir()
    beside.replace(job.out_dir)
    emit(Saved(method="export", files=tuple(describe(path) for path in sorted(job.out_dir.iterdir()))))


def _room_beside(folder: Path) -> Path:
    """An empty folder to write in, where this one can then take its name."""
    if folder.is_dir() and any(folder.iterdir()):
        raise JobFailed("bad_job", f"The folder {folder} is not empty.", "Name a new folder, or empty this one.")
    if folder.exists() and not folder.is_dir():
        raise JobFailed("bad_job", f"{folder} is a file, not a folder.", "Name a new folder.")
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
    except OSError as error:
        raise JobFailed(
            "bad_job",
            f"The folder {folder} cannot be made ({error.strerror or type(error).__name__}).",
            "Name a new folder where you may write.",
        ) from error
    return beside


def load_clone(base: Base, weights_dir: Path | None) -> PreTrainedModel:
    """The clone as one model in fp32: an adapter merged into its base, a full model as it is, or the base alone."""
    if weights_dir is None:
        return load_model(base, torch.float32)
    if not (weights_dir / "adapter_config.json").is_file():
        model = AutoModelForCausalLM.from_pretrained(
            weights_dir, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
        assert isinstance(model, PreTrainedModel)
        return model
    adapted = PeftModel.from_pretrained(load_model(base, torch.float32), weights_dir)
    merged = adapted.merge_and_unload()
    assert isinstance(merged, PreTrainedModel)
    return merged
