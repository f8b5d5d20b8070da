"""A stranger's whole model → one that loads here: built from its configuration and its tensors, never by its code.

transformers is handed values, not a folder: no name in a stranger's file is followed to another file or repository.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from trainer.adoption.origin import CONFIG, TOKENIZER_CONFIG, TOKENIZER_FILES
from trainer.adoption.settings import Json, read_json
from trainer.adoption.weights import Tensors
from trainer.base import Base, load_tokenizer, separator_id
from trainer.protocol import JobFailed

_NOT_TAKEN = re.compile(
    r"_.*|.*(_file|_implementation|_weights|name_or_path)|chat_template|task_specific_params|output_.*|return_dict.*"
)
"""Settings that name files, kernels of the Hub or templates, and those that ask for other output than a voice's."""

_COUNTS = re.compile(r".*(layer|label|expert|head).*")
_MAX_COUNT = 10_000
"""Settings that transformers counts up to before it looks at a tensor; a billion of them would fill the memory."""

_NOT_UNDERSTOOD = (
    *(AttributeError, KeyError, TypeError, ValueError, IndexError, ArithmeticError, NotImplementedError),
    *(ImportError, RuntimeError, StrictDataclassError),
)
"""What transformers raises over settings that make no sense."""


def take_whole(brought: Path, name: str, tensors: Tensors, folder: Path) -> None:
    """Write a model and its tokenizer into a folder, as safetensors.

    Raises:
        JobFailed: kind `refused` for what brings code, `bad_job` for what is no causal LM that can be used here,
            `corrupt` for what does not fit together.
    """
    config = _config(brought)
    tokenizer = _tokenizer(brought, name, config)
    model = _model(config, tensors)
    if len(tokenizer) > int(getattr(config, "vocab_size", 0)):
        raise _unfit("its tokenizer knows more tokens than the model")
    end = separator_id(tokenizer)
    model.generation_config = GenerationConfig(bos_token_id=end, eos_token_id=end, pad_token_id=end)
    try:
        model.save_pretrained(folder)
    except StrictDataclassError as error:  # some settings are judged only now
        raise _unfit(f"{CONFIG} makes no sense") from error
    tokenizer.save_pretrained(folder)


def _config(brought: Path) -> PreTrainedConfig:
    found = read_json(brought / CONFIG)
    for name in (CONFIG, TOKENIZER_CONFIG):
        if "auto_map" in read_json(brought / name):
            raise JobFailed(
                "refused",
                f"{name} asks for Python code from the same place to be run. Nothing of it was run.",
                "Only models that transformers knows by itself are adopted.",
            )
    too_many = [name for name, value in found.items() if _COUNTS.fullmatch(name) and _exceeds(value)]
    if too_many:
        raise _unfit(f"{too_many[0]} is more than any model has")
    kind = found.get("model_type")
    if "quantization_config" in found:
        raise JobFailed("bad_job", "The model is quantized.", "Adopt it as it was before: in fp32, fp16 or bf16.")
    known = CONFIG_MAPPING[kind] if isinstance(kind, str) and kind in CONFIG_MAPPING else None
    if known is None or known not in MODEL_FOR_CAUSAL_LM_MAPPING or found.get("is_encoder_decoder"):
        raise JobFailed(
            "bad_job",
            f"A model of the kind {str(kind)[:40]!r} does not go on from a text, or is not known here.",
            "Adopt a causal language model, such as a GPT-2 or a Llama.",
        )
    try:
        return known.from_dict(_harmless(found))
    except _NOT_UNDERSTOOD as error:
        raise _unfit(f"{CONFIG} makes no sense") from error


def _exceeds(value: object) -> bool:
    return isinstance(value, int | float) and value > _MAX_COUNT


def _harmless(settings: Json) -> Json:
    return {name: value for name, value in settings.items() if _NOT_TAKEN.fullmatch(name) is None}


def _model(config: PreTrainedConfig, tensors: Tensors) -> PreTrainedModel:
    layers = getattr(config, "num_hidden_layers", 0)
    if not isinstance(layers, int) or layers > len(tensors):  # before so many layers are made
        raise _unfit("its configuration has more layers than its weights")
    kind: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    try:
        model, told = kind.from_pretrained(
            None, config=config, state_dict=tensors, dtype=_dtype(tensors), output_loading_info=True
        )
    except _NOT_UNDERSTOOD as error:
        raise _unfit("its weights do not fit its configuration") from error
    if told["missing_keys"] or told["mismatched_keys"]:
        raise _unfit(f"it lacks {len(told['missing_keys']) + len(told['mismatched_keys'])} of its tensors")
    assert isinstance(model, PreTrainedModel)
    return model


def _dtype(tensors: Tensors) -> torch.dtype:
    """The precision that most of the numbers are in."""
    count: dict[torch.dtype, int] = {}
    for tensor in tensors.values():
        if tensor.dtype in (torch.float32, torch.float16, torch.bfloat16):
            count[tensor.dtype] = count.get(tensor.dtype, 0) + tensor.numel()
    if not count:
        raise _unfit("its weights are in no precision that is used here")
    return max(count, key=lambda dtype: count[dtype])


def _tokenizer(brought: Path, name: str, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of its files alone, with settings that lead nowhere."""
    folder = brought / "tokenizer"
    folder.mkdir(exist_ok=True)
    for file in TOKENIZER_FILES:
        if (brought / file).is_file():
            (brought / file).replace(folder / file)
    for file, settings in (
        (TOKENIZER_CONFIG, _harmless(read_json(brought / TOKENIZER_CONFIG))),
        (CONFIG, {"model_type": config.model_type}),
    ):
        (folder / file).write_text(json.dumps(settings), encoding="utf-8")
    try:
        return load_tokenizer(Base(name, "", folder))
    except JobFailed:
        raise
    except Exception as error:  # the tokenizers library raises no other class
        raise _unfit("its tokenizer cannot be read") from error


def _unfit(why: str) -> JobFailed:
    return JobFailed(
        "corrupt", f"The model does not fit together: {why}.", "Fetch it again, whole, from where it was made."
    )
