"""Linear layers that read the same input, as one product, and their adapters as one more.

q, k and v are one product, gate and up are one. Only the adapters learn, so the backward pass keeps the input and the
inner products, and asks nothing of the frozen weights. LoRA: Hu et al. 2021 (arXiv:2106.09685).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor

from trainer.lean.frozen import Frozen

ADAPTER = "default"
"""peft's name for the one adapter that is learned."""


@dataclass(frozen=True)
class Kept:
    """What the backward pass needs: input (T, in) and inner products (T, all ranks)."""

    x: Tensor
    inner: Tensor


@dataclass(frozen=True)
class _Adapter:
    """One layer's: down (rank, in) and up (outs, rank), in fp32, and where they stand among those of the product."""

    down: Tensor
    up: Tensor
    outs: slice
    ranks: slice


class Product:
    """Frozen weights (outs, in), stacked, and the adapters of those layers that have one: all of them, or none."""

    def __init__(self, layers: Sequence[torch.nn.Module]) -> None:
        bases = [layer.get_base_layer() if isinstance(layer, Linear) else layer for layer in layers]
        linears = [base for base in bases if isinstance(base, torch.nn.Linear)]
        weight = _stacked(linears)
        self._adapted = [layer for layer in layers if isinstance(layer, Linear)]
        self._frozen = Frozen(weight, has_way_back=bool(self._adapted))
        if self._frozen.is_packed:  # which replaces the weights as they were
            for linear in linears:
                linear.weight.data = weight.new_empty(0)
        self._adapters = _adapters(self._adapted)
        self._scale = float(self._adapted[0].scaling[ADAPTER]) if self._adapted else 0.0
        ranks = self._adapters[-1].ranks.stop if self._adapters else 0
        self._down = weight.new_zeros(ranks, weight.shape[1])
        self._up = weight.new_zeros(len(weight), ranks)
        self._adding = threading.Lock()

    @property
    def learns(self) -> bool:
        return bool(self._adapters)

    @torch.no_grad()
    def refresh(self) -> None:
        """Take the adapters as they are now, in the products' precision; each layer's up is a block of its own."""
        if any(layer.disable_adapters for layer in self._adapted):
            self._up.zero_()
            return
        for one in self._adapters:
            self._down[one.ranks].copy_(one.down)
            self._up[one.outs, one.ranks].copy_(one.up)

    def forward(self, x: Tensor) -> tuple[Tensor, Kept | None]:
        """x (T, in) → (T, outs)."""
        y = self._frozen.forth(x)
        if not self.learns:
            return y, None
        inner = x @ self._down.t()
        return y.addmm_(inner, self._up.t(), alpha=self._scale), Kept(x, inner)

    def backward(self, gradient: Tensor, kept: Kept) -> Tensor:
        """Gradient of the output (T, outs) → of the input (T, in); the adapters' is added to theirs."""
        inner_gradient = gradient @ self._up
        downs, ups = inner_gradient.t() @ kept.x, gradient.t() @ kept.inner
        with self._adding:
            for one in self._adapters:
                _add(one.down, downs[one.ranks], self._scale)
                _add(one.up, ups[one.outs, one.ranks], self._scale)
        return self._frozen.back(gradient).addmm_(inner_gradient, self._down, alpha=self._scale)


def _adapters(layers: Sequence[Linear]) -> list[_Adapter]:
    adapters: list[_Adapter] = []
    row = column = 0
    for layer in layers:
        down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        assert isinstance(down, Tensor)
        assert isinstance(up, Tensor)
        outs, rank = up.shape
        adapters.append(_Adapter(down, up, slice(row, row + outs), slice(column, column + rank)))
        row, column = row + outs, column + rank
    return adapters


def _stacked(layers: Sequence[torch.nn.Linear]) -> Tensor:
    """Their weights in one tensor, which they then look into: stacking takes no memory of its own."""
    if len(layers) == 1:
        return layers[0].weight.detach()
    whole = torch.cat([layer.weight.detach() for layer in layers])
    for layer, part in zip(layers, torch.split(whole, [layer.out_features for layer in layers]), strict=True):
        layer.weight.data = part
    return whole


def _add(weight: Tensor, gradient: Tensor, scale: float) -> None:
    if weight.grad is None:
        weight.grad = torch.empty_like(weight).copy_(gradient).mul_(scale)
    else:
        weight.grad.add_(gradient, alpha=scale)
