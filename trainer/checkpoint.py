"""A training's place on disk: one safetensors file with weights, optimizer and best weights.

Written beside and renamed, so a `kill -9` leaves the one before. Never pickle. There is no random state in it: each
step of a training seeds its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

NAME = "checkpoint.safetensors"


class Progress(BaseModel):
    """All of a training that is not a tensor."""

    fingerprint: str
    """What makes it the same job: recipe, seed, base and corpus."""
    step: int = 0
    seconds: float = 0.0
    before_nats: list[float] | None = None
    """What each held-out post costs the base."""
    previous: float | None = None
    """Bits per byte of the version before, on the held-out posts that it did not learn from."""
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    """Evaluations since the best one."""
    looked: int = 0
    """The step of the last evaluation; a checkpoint may fall between a step and its evaluation."""
    last_loss: float = 0.0


@dataclass
class State:
    """What training changes: the trainable weights, the optimizer, and the best weights so far."""

    weights: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.AdamW
    progress: Progress
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)


def save(state: State, folder: Path) -> None:
    """Replace the folder's checkpoint by this state."""
    tensors = {f"weight/{name}": weight.detach() for name, weight in state.weights.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in state.best_weights.items()}
    for name, weight in state.weights.items():
        for key, tensor in state.optimizer.state.get(weight, {}).items():
            tensors[f"{key}/{name}"] = tensor
    beside = folder / f"{NAME}.part"
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        beside,
        metadata={"progress": state.progress.model_dump_json()},
    )
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(folder / NAME)


def load(state: State, folder: Path) -> bool:
    """Bring the state to where the checkpoint left it; False where there is none for this very job."""
    path = folder / NAME
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress.model_validate_json(file.metadata()["progress"])
            if progress.fingerprint != state.progress.fingerprint:
                return False
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (FileNotFoundError, SafetensorError):
        return False
    with torch.no_grad():
        for name, weight in state.weights.items():
            weight.copy_(tensors[f"weight/{name}"])
            moments = {
                key: tensors[f"{key}/{name}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}/{name}" in tensors
            }
            if moments:
                state.optimizer.state[weight] = {
                    key: tensor if key == "step" and weight.device.type == "cpu" else tensor.to(weight.device)
                    for key, tensor in moments.items()
                }
    state.best_weights = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("best/")}
    state.progress = progress
    return True
