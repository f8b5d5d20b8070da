"""A Llama with adapters, learning: what transformers, peft and autograd would compute, in a third fewer steps."""

from __future__ import annotations

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import embedding
from transformers import LlamaForCausalLM

from trainer import packing
from trainer.lean import block
from trainer.lean.block import Block, Sight, normalise
from trainer.lean.head import Head
from trainer.packing import Row

_PLAIN_ROPE = ("default", "linear", "llama3")
"""Whose frequencies do not change with the length of a text."""


def fits(model: PeftModel) -> bool:
    """Is this a Llama as it is usually built, with adapters without dropout on all, or the upper, layers?"""
    llama = model.get_base_model()
    if not isinstance(llama, LlamaForCausalLM):
        return False
    config = llama.config
    return (
        config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and not config.attention_dropout
        and llama.model.rotary_emb.rope_type in _PLAIN_ROPE
        and not any(getattr(adapter, "lora_dropout", 0.0) for adapter in model.peft_config.values())
    )


class Lean:
    """A learner (see `trainer.learner`) for models that fit. It holds for as long as their weights keep their type."""

    def __init__(self, model: PeftModel) -> None:
        llama = model.get_base_model()
        assert isinstance(llama, LlamaForCausalLM)
        self._tokens = llama.model.embed_tokens.weight.detach()
        self._blocks = [Block(layer) for layer in llama.model.layers]
        self._first = next((index for index, one in enumerate(self._blocks) if one.learns), len(self._blocks))
        self._norm = llama.model.norm
        self._head = Head(llama.lm_head.weight.detach())
        self._rotary = llama.model.rotary_emb

    @torch.no_grad()
    def learn(self, row: Row, smoothing: float = 0.0) -> float:
        """Mean loss over the row's targets, in nats; the gradients are added to the adapters' `grad`."""
        sight, x, labels = self._read(row)
        kept: list[block.Kept | None] = []
        for one in self._blocks:
            x, keeps = one.forward(x, sight)
            kept.append(keeps)
        x, normed = normalise(x, self._norm.weight, self._norm.variance_epsilon)
        loss, gradient = self._head.learn(x, labels, smoothing)
        gradient = block.normalise_backward(gradient, self._norm.weight, normed)
        for one, keeps in zip(reversed(self._blocks[self._first :]), reversed(kept), strict=False):
            assert keeps is not None
            gradient = one.backward(gradient, keeps, sight)
        return loss

    @torch.no_grad()
    def costs(self, row: Row) -> Tensor:
        """What each target of the row costs, (targets,), in nats."""
        sight, x, labels = self._read(row)
        for one in self._blocks:
            x, _ = one.forward(x, sight)
        x, _ = normalise(x, self._norm.weight, self._norm.variance_epsilon)
        return self._head.costs(x, labels)

    def _read(self, row: Row) -> tuple[Sight, Tensor, Tensor]:
        """Where the row's tokens stand and what they see, their embeddings (T, width), and their labels (T,)."""
        tokens = self._tokens
        batch = packing.to_batch(row, tokens.device)
        angles = batch.positions[0].float()[:, None, None] * self._rotary.inv_freq.float()
        count = batch.labels.shape[1]
        seen = batch.mask[0, 0] if batch.mask is not None else torch.ones(count, count, dtype=torch.bool).tril()
        hidden = torch.zeros(count, count, dtype=tokens.dtype, device=tokens.device)
        sight = Sight(
            cos=(angles.cos() * self._rotary.attention_scaling).to(tokens.dtype),
            sin=(angles.sin() * self._rotary.attention_scaling).to(tokens.dtype),
            hidden=hidden.masked_fill_(~seen.to(tokens.device), -torch.inf),
        )
        return sight, embedding(batch.inputs[0], tokens), batch.labels[0]
