"""A Llama that speaks, many rows side by side, a token each at a time: packed weights, and nothing else a token.

All rows are at the same place, so that nothing is padded or masked; whoever draws from the logits says which go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding, pad
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from trainer.lean.block import Block, normalise, waves
from trainer.lean.head import Head

_PLACES = 32
"""The cache grows by so many: most rows have ended before it is large."""


class LeanDecoder:
    """A decoder (see `trainer.learner`). `scaling` is what long-context variants multiply their angles' waves by."""

    def __init__(
        self,
        tokens: Tensor,
        blocks: Sequence[Block],
        norm: LlamaRMSNorm,
        head: Head,
        frequencies: Tensor,
        scaling: float,
        rows: int,
    ) -> None:
        self._tokens, self._blocks, self._norm, self._head = tokens, blocks, norm, head
        self._frequencies, self._scaling = frequencies, scaling
        self._past = [one.past(rows, tokens) for one in blocks]
        self._place = 0

    @torch.no_grad()
    def read(self, ids: Tensor) -> Tensor:
        """One more token a row, (rows,) → logits of the next, (rows, vocabulary), in fp32."""
        if self._place == self._past[0].shape[3]:
            self._replace(lambda past: pad(past, (0, 0, 0, _PLACES)))
        place = self._frequencies.new_tensor([self._place])
        turn = waves(place, self._frequencies, self._scaling, self._tokens.dtype)
        x = embedding(ids.to(self._tokens.device), self._tokens)
        for block, past in zip(self._blocks, self._past, strict=True):
            x = block.step(x, *turn, past, self._place)
        self._place += 1
        return self._head.logits(normalise(x, self._norm.weight, self._norm.variance_epsilon)[0])

    def keep(self, rows: Tensor) -> None:
        """Only these rows go on, (rows,) of their numbers now, in this order."""
        self._replace(lambda past: past.index_select(1, rows.to(past.device)))

    def _replace(self, change: Callable[[Tensor], Tensor]) -> None:
        """Layer by layer, so that there are never two of all of it."""
        for number, past in enumerate(self._past):
            self._past[number] = change(past)
