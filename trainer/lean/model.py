"""A Llama with adapters, learning: what transformers, peft and autograd would compute, in half the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from peft import PeftConfig, PeftModel
from torch import Tensor
from torch.nn.functional import embedding, pad
from transformers import LlamaForCausalLM

from trainer import packing
from trainer.base import Model
from trainer.cores import Cores, dealt
from trainer.lean import block
from trainer.lean.block import Block, Sight, normalise, waves
from trainer.lean.decoder import LeanDecoder
from trainer.lean.head import Head
from trainer.packing import Row

T = TypeVar("T")

_PLAIN_ROPE = ("default", "linear", "llama3")
"""Whose frequencies do not change with the length of a text."""
_LENGTHS = 16
"""Rows are filled up to a multiple of this: oneDNN builds a kernel for each length, which takes as long as a row."""


def fits(model: Model) -> bool:
    """Is this a Llama as it is usually built? Adapters on it, if any, have no dropout, and all or the upper layers."""
    llama = _llama(model)
    if not isinstance(llama, LlamaForCausalLM):
        return False
    config = llama.config
    return (
        config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and not config.attention_dropout
        and llama.model.rotary_emb.rope_type in _PLAIN_ROPE
        and not any(getattr(adapter, "lora_dropout", 0.0) for adapter in _adapters(model))
    )


def _llama(model: Model) -> torch.nn.Module:
    return model.get_base_model() if isinstance(model, PeftModel) else model


def _adapters(model: Model) -> Iterable[PeftConfig]:
    return model.peft_config.values() if isinstance(model, PeftModel) else ()


class Lean:
    """A learner (see `trainer.learner`) for models that fit; nothing but adapters learns. It holds for as long as the
    weights keep their type.

    Where it packs frozen weights, the model is left without them: it is of no use but for its adapters then.
    """

    def __init__(self, model: Model) -> None:
        llama = _llama(model)
        assert isinstance(llama, LlamaForCausalLM)
        self._tokens = llama.model.embed_tokens.weight.detach()
        self._blocks = [Block(layer) for layer in llama.model.layers]
        self._first = next((index for index, one in enumerate(self._blocks) if one.learns), len(self._blocks))
        self._group: int = llama.model.layers[0].self_attn.num_key_value_groups
        self._norm = llama.model.norm
        self._head = Head(llama.lm_head.weight.detach())
        rotary = llama.model.rotary_emb
        self._angles: tuple[Tensor, float] = (rotary.inv_freq.float(), rotary.attention_scaling)
        self._cores = Cores(self._tokens.device)

    def learn(self, row: Row, smoothing: float = 0.0) -> float:
        """Mean loss over the row's targets, in nats; the gradients are added to the adapters' `grad`."""
        share = 1 / row.targets
        parts = dealt(row, self._cores.count)
        return sum(self._each(row, parts, lambda some: self._learn(some, share, smoothing)))

    def costs(self, row: Row) -> Tensor:
        """What each target of the row costs, (targets,), in nats."""
        parts = dealt(row, self._cores.count)
        costs: list[Tensor] = [torch.empty(0)] * len(row.pieces)
        for part, some in zip(parts, self._each(row, parts, self._costs), strict=True):
            pieces = torch.split(some, [len(row.pieces[place]) - 1 for place in part])
            for place, piece in zip(part, pieces, strict=True):
                costs[place] = piece
        return torch.cat(costs)

    @property
    def device(self) -> torch.device:
        device: torch.device = self._tokens.device
        return device

    @torch.no_grad()
    def decoder(self, rows: int) -> LeanDecoder:
        """Rows that go on side by side, by the adapters as they are now."""
        for one in self._blocks:
            one.refresh()
        return LeanDecoder(self._tokens, self._blocks, self._norm, self._head, *self._angles, rows)

    def _each(self, row: Row, parts: Sequence[Sequence[int]], work: Callable[[Row], T]) -> list[T]:
        """What comes of each core's part of the row, given as places of its pieces."""
        for one in self._blocks:
            one.refresh()
        return self._cores.each(work, [Row(tuple(row.pieces[place] for place in part)) for part in parts])

    @torch.no_grad()
    def _learn(self, row: Row, share: float, smoothing: float) -> float:
        sight, x, labels = self._read(row)
        kept: list[block.Kept | None] = []
        for one in self._blocks:
            x, keeps = one.forward(x, sight)
            kept.append(keeps)
        x, normed = normalise(x, self._norm.weight, self._norm.variance_epsilon)
        loss, gradient = self._head.learn(x, labels, share, smoothing)
        gradient = block.normalise_backward(gradient, self._norm.weight, normed)
        for one, keeps in zip(reversed(self._blocks[self._first :]), reversed(kept), strict=False):
            assert keeps is not None
            gradient = one.backward(gradient, keeps, sight)
        return loss

    @torch.no_grad()
    def _costs(self, row: Row) -> Tensor:
        sight, x, labels = self._read(row)
        for one in self._blocks:
            x, _ = one.forward(x, sight)
        x, _ = normalise(x, self._norm.weight, self._norm.variance_epsilon)
        return self._head.costs(x, labels)

    def _read(self, row: Row) -> tuple[Sight, Tensor, Tensor]:
        """Where the row's tokens stand and what they see, their embeddings (T, width), and their labels.

        What the row is filled up with has no label. It sees itself, so that it is a number, and nobody sees it.
        """
        tokens = self._tokens
        batch = packing.to_batch(row, tokens.device)
        count = row.targets
        filled = -(-count // _LENGTHS) * _LENGTHS
        places = pad(batch.positions[0], (0, filled - count)).float()
        cos, sin = waves(places, *self._angles, tokens.dtype)
        seen = batch.mask[0, 0] if batch.mask is not None else torch.ones(count, count, dtype=torch.bool).tril()
        hidden = torch.full((filled, filled), -torch.inf, dtype=tokens.dtype, device=tokens.device)
        hidden[:count, :count].masked_fill_(seen.to(tokens.device), 0.0)
        hidden.fill_diagonal_(0.0)
        sight = Sight(
            cos=cos,
            sin=sin,
            hidden=hidden.repeat(self._group, 1),
        )
        return sight, embedding(pad(batch.inputs[0], (0, filled - count)), tokens), batch.labels[0]
