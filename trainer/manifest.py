"""`mynah.json`: what a pushed persona says of itself, so that another Mynah can adopt it as it was.

A pushed repository has the whole model at its root, for everybody, and for Mynah the adapter as it was trained (in
`adapter/`) with this file. Light to import. No path of the machine that pushes is told.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path, PurePath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainer import catalog
from trainer.recipes import Sampling

FILENAME = "mynah.json"
ADAPTER_FOLDER = "adapter"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"

HUB_NAMES: dict[str, str] = {catalog.SMOLLM2.name: "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""Bases of the catalog by the names that the Hub knows them by."""

_HUB_ID = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)


class Manifest(BaseModel):
    """One version of one persona. What a later format adds is passed over."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    handle: str = Field(max_length=64, pattern=r"^[\w.@-]+$")
    display_name: str = Field(default="", max_length=1000)
    base: str = Field(max_length=4096)
    """A name of `trainer.catalog`, a Hub id, or the name alone of a file or folder."""
    base_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    method: Literal["lora", "full"]
    recipe: str = Field(max_length=100)
    sampling: Sampling
    version: int = Field(ge=1)


def pack(folder: Path, weights_dir: Path, manifest: Manifest) -> None:
    """Put `mynah.json`, and for LoRA the adapter, beside an exported model; what was packed before is replaced.

    `weights_dir` is what the export was made from.
    """
    base = _name_for_others(manifest.base)
    shutil.rmtree(folder / ADAPTER_FOLDER, ignore_errors=True)
    if manifest.method == "lora":
        (folder / ADAPTER_FOLDER).mkdir()
        shutil.copyfile(weights_dir / ADAPTER_WEIGHTS, folder / ADAPTER_FOLDER / ADAPTER_WEIGHTS)
        config = json.loads((weights_dir / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = HUB_NAMES.get(base, base)
        (folder / ADAPTER_FOLDER / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    told = manifest.model_copy(update={"base": base})
    (folder / FILENAME).write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> Manifest | None:
    """The manifest in a file; None where there is none, or none of a format that is known here."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _name_for_others(base: str) -> str:
    """A base's name where it means something elsewhere; of a path, only its end."""
    if base in catalog.PACKAGED or (_HUB_ID.fullmatch(base) and not Path(base).exists()):
        return base
    return PurePath(base).name
