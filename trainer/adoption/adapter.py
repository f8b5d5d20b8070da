"""A stranger's LoRA adapter → one that fits a base on this machine.

Its settings are not handed on: a fresh configuration is made of those that say what a LoRA computes, since others can
name modules to import or files to read. That it fits is tried on a base without weights.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from trainer.adoption.settings import Json
from trainer.adoption.weights import Tensors
from trainer.base import Base
from trainer.manifest import ADAPTER_WEIGHTS
from trainer.protocol import JobFailed

_MEANT = (
    *("r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "use_rslora", "fan_in_fan_out"),
    *("layers_to_transform", "layers_pattern"),
)
_BEYOND = (
    *("use_dora", "use_qalora", "modules_to_save", "layer_replication", "lora_bias", "trainable_token_indices"),
    *("target_parameters", "alora_invocation_tokens", "arrow_config"),
)
"""What makes an adapter more than W + alpha / r * B A."""


def take_adapter(settings: Json, weights: Path, tensors: Tensors, base: Base, folder: Path) -> None:
    """Write an adapter for `base` into a folder; its tensors stay as they are.

    Raises:
        JobFailed: kind `bad_job` for what is no plain LoRA, `corrupt` for one that does not fit the base.
    """
    config = _config(settings)
    expected = _expected_tensors(config, base)
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != expected:
        odd = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise JobFailed(
            "corrupt",
            f"The adapter does not fit the base {base.name}: {len(odd)} tensors differ, {odd[0][:120]!r} the first.",
            "Check which base it was made for.",
        )
    folder.mkdir(parents=True)
    if weights.suffix == ".safetensors":
        shutil.copyfile(weights, folder / ADAPTER_WEIGHTS)
    else:
        save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    config.base_model_name_or_path = base.name
    config.inference_mode = True
    config.save_pretrained(str(folder))


def _config(settings: Json) -> LoraConfig:
    beyond = [name for name in _BEYOND if settings.get(name)]
    if settings.get("peft_type") != "LORA" or settings.get("bias") not in (None, "none") or beyond:
        raise JobFailed(
            "bad_job",
            f"The adapter is no plain LoRA ({', '.join(beyond) or 'another method'}).",
            "Merge it into its base where it was made (`merge_and_unload`), and adopt the whole model.",
        )
    meant: dict[str, Any] = {name: settings[name] for name in _MEANT if settings.get(name) is not None}
    try:
        return LoraConfig(**meant, task_type="CAUSAL_LM")
    except (TypeError, ValueError, AttributeError) as error:
        raise _senseless() from error


def _expected_tensors(config: LoraConfig, base: Base) -> dict[str, torch.Size]:
    """The adapter's tensors as peft would make them, without making any number of them."""
    known = AutoConfig.from_pretrained(base.folder, trust_remote_code=False, local_files_only=True)
    try:
        with torch.device("meta"):
            adapted = get_peft_model(AutoModelForCausalLM.from_config(known), config)
    except (TypeError, ValueError, AttributeError, KeyError, RuntimeError, ArithmeticError) as error:
        raise _senseless() from error
    # Told not to save embeddings, peft need not ask the Hub whether they were resized.
    return {
        name: tensor.shape for name, tensor in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()
    }


def _senseless() -> JobFailed:
    return JobFailed("corrupt", "The settings of the adapter make no sense for its base.", "Fetch it again, whole.")
