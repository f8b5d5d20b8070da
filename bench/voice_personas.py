"""Many personas for the bench of the voice: adapters of the recipe's rank, in a database, that nobody trained.

Each says what the bundled example says: its adapter is the example's, padded to the rank with directions that lead
nowhere. In its first tensor each is unlike all others, so that none can be served for another; the rest is stored once.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sqlite_utils import Database

from bot import bundled
from storage import clones, consents, personas, weights
from trainer.recipes import MYNAH

_EXAMPLE = Path(bundled.__file__).parent / "example" / "adapter"
_OWN = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def install(db: Database, count: int) -> list[str]:
    """Put `count` personas beside the example, and give their handles. One transaction."""
    bundled.install(db)
    with db.atomic(), tempfile.TemporaryDirectory() as folder:
        adapters = _adapters(Path(folder))
        return [_add(db, f"bench_{number:04}", next(adapters)) for number in range(count)]


def _add(db: Database, handle: str, adapter: Path) -> str:
    trained = bundled.Trained.model_validate_json((_EXAMPLE.parent / bundled.TRAINED).read_text(encoding="utf-8"))
    persona = personas.ensure(db, handle)
    consents.record(db, persona.id, "invented", handle, "Mynah", "bench")
    clone = clones.enqueue(db, persona.id, MYNAH.name, MYNAH.model_dump_json(), trained.base, 1, "bench", None)
    clones.move(db, clone.id, "collecting")
    clones.move(db, clone.id, "training")
    weights.save_model(db, clone.id, "lora", trained.base, trained.base_hash, adapter)
    clones.move(db, clone.id, "ready", base_hash=trained.base_hash)
    personas.set_current(db, persona.id, clone.id)
    return handle


def _adapters(folder: Path) -> Iterator[Path]:
    """The same folder again and again, each time with another adapter in it."""
    config = json.loads((_EXAMPLE / "adapter_config.json").read_text(encoding="utf-8"))
    scale, config["r"] = config["lora_alpha"] / config["r"], MYNAH.rank
    config["lora_alpha"] = scale * MYNAH.rank
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: _padded(name, tensor, generator)
        for name, tensor in load_file(_EXAMPLE / "adapter_model.safetensors").items()
    }
    while True:
        own = tensors[_OWN]
        own[-1] = torch.randn(own.shape[1], generator=generator)
        save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        yield folder


def _padded(name: str, tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """To the recipe's rank: A with noise, B with zeros, so that their product stays as it is."""
    if ".lora_A." in name:
        missing = MYNAH.rank - tensor.shape[0]
        return torch.cat([tensor, torch.randn(missing, tensor.shape[1], generator=generator).to(tensor.dtype)])
    missing = MYNAH.rank - tensor.shape[1]
    return torch.cat([tensor, torch.zeros(tensor.shape[0], missing, dtype=tensor.dtype)], dim=1).contiguous()
