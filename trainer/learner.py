"""How a row becomes a loss and its gradients, and a token the next: by hand for a Llama, else by transformers."""

from __future__ import annotations

from typing import Protocol

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import DynamicCache, PreTrainedModel

from trainer import packing
from trainer.base import Model
from trainer.lean.model import Lean, fits
from trainer.packing import Row


class Decoder(Protocol):
    """Rows that have all read as many tokens."""

    def read(self, ids: Tensor) -> Tensor:
        """One more token a row, (rows,) → logits of the next, (rows, vocabulary), in fp32."""

    def keep(self, rows: Tensor) -> None:
        """Only these rows go on, (rows,) of their numbers now, in this order."""


class Speaker(Protocol):
    """A model as samples are drawn from it."""

    @property
    def device(self) -> torch.device: ...

    def decoder(self, rows: int) -> Decoder:
        """So many rows that have read nothing yet, and go on side by side."""


class Learner(Speaker, Protocol):
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


def speaker_of(model: PreTrainedModel) -> Speaker:
    """The quickest way to samples of a model that learns no more. It may take the only copy of the weights."""
    return Lean(model) if fits(model) else Plain(model)


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

    @property
    def device(self) -> torch.device:
        return self._model.device

    def decoder(self, rows: int) -> Decoder:
        return PlainDecoder(self._model)

    def _logits(self, row: Row) -> tuple[Tensor, Tensor]:
        batch = packing.to_batch(row, self._model.device)
        logits = self._model(
            input_ids=batch.inputs, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
        ).logits
        return logits[0], batch.labels[0]


class PlainDecoder:
    """Rows of any causal model, through transformers and its cache."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._cache = DynamicCache()
        model.eval()

    @torch.no_grad()
    def read(self, ids: Tensor) -> Tensor:
        ids = ids[:, None].to(self._model.device)
        logits: Tensor = self._model(input_ids=ids, cache=self._cache, use_cache=True).logits
        return logits[:, -1].float()

    def keep(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows.to(self._model.device))
