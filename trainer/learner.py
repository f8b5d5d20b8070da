"""How a row becomes a loss and its gradients: by hand for a Llama with adapters, else by transformers."""

from __future__ import annotations

from typing import Protocol

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import cross_entropy

from trainer import packing
from trainer.base import Model
from trainer.lean.model import Lean, fits
from trainer.packing import Row


class Learner(Protocol):
    """A model as the training loop uses it."""

    def learn(self, row: Row, smoothing: float = 0.0) -> float:
        """Mean loss over the row's targets, in nats; adds gradients to the trainable weights' `grad`."""

    def costs(self, row: Row) -> Tensor:
        """What each target of the row costs, (targets,), in nats."""


def learner_of(model: Model, *, mixed: bool = False) -> Learner:
    """The quickest way through this model. Make a new one when its weights change their type.

    Args:
        model: whole, or with adapters.
        mixed: cast as it computes (bf16 beside weights in fp32), where the whole model learns.
    """
    if isinstance(model, PeftModel) and fits(model):
        return Lean(model)
    return Plain(model, mixed=mixed)


class Plain:
    """Any causal model, through transformers and autograd."""

    def __init__(self, model: Model, *, mixed: bool = False) -> None:
        self._model = model
        self._mixed = mixed

    def learn(self, row: Row, smoothing: float = 0.0) -> float:
        self._model.train()
        with torch.autocast(self._model.device.type, dtype=torch.bfloat16, enabled=self._mixed):
            logits, labels = self._logits(row)
        loss = cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        del logits
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    @torch.no_grad()
    def costs(self, row: Row) -> Tensor:
        self._model.eval()
        logits, labels = self._logits(row)
        return cross_entropy(logits.float(), labels, reduction="none")

    def _logits(self, row: Row) -> tuple[Tensor, Tensor]:
        batch = packing.to_batch(row, self._model.device)
        logits = self._model(
            input_ids=batch.inputs, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
        ).logits
        return logits[0], batch.labels[0]
