"""Linear layers that read the same input, as one product, and their adapters as one more.

q, k and v are one product, gate and up are one. Only the adapters learn, so the backward pass keeps the input and the
inner products, and asks nothing of the frozen weights. LoRA: Hu et al. 2021 (arXiv:2106.09685).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor
from torch.nn.functional import linear

ADAPTER = "default"
"""peft's name for the one adapter that is learned."""


@dataclass(frozen=True)
class Kept:
    """What the backward pass needs: input (T, in), inner products (T, n·rank), and the adapters that made them."""

    x: Tensor
    inner: Tensor
    down: Tensor
    up: Tensor


@dataclass(frozen=True)
class _Adapter:
    """One layer's: down (rank, in) and up (outs, rank), in fp32, and what their product is multiplied by."""

    down: Tensor
    up: Tensor
    scale: float


class Product:
    """Frozen weights (outs, in), stacked, and the adapters of those layers that have one: all of them, or none."""

    def __init__(self, layers: Sequence[torch.nn.Module]) -> None:
        bases = [layer.get_base_layer() if isinstance(layer, Linear) else layer for layer in layers]
        self.frozen = _stacked([base for base in bases if isinstance(base, torch.nn.Linear)])
        self._adapters = [_adapter(layer) for layer in layers if isinstance(layer, Linear)]

    @property
    def learns(self) -> bool:
        return bool(self._adapters)

    def forward(self, x: Tensor) -> tuple[Tensor, Kept | None]:
        """x (T, in) → (T, outs). The adapters are kept in fp32 and used in x's precision."""
        y = linear(x, self.frozen)
        if not self.learns:
            return y, None
        down = torch.cat([one.down for one in self._adapters]).to(x.dtype)
        up = _side_by_side([one.up.to(x.dtype) * one.scale for one in self._adapters])
        inner = x @ down.t()
        return y.addmm_(inner, up.t()), Kept(x, inner, down, up)

    def backward(self, gradient: Tensor, kept: Kept) -> Tensor:
        """Gradient of the output (T, outs) → of the input (T, in); the adapters' is added to theirs."""
        inner_gradient = gradient @ kept.up
        downs, ups = inner_gradient.t() @ kept.x, gradient.t() @ kept.inner
        row = column = 0
        for one in self._adapters:
            outs, rank = one.up.shape
            _add(one.down, downs[column : column + rank])
            _add(one.up, ups[row : row + outs, column : column + rank], one.scale)
            row, column = row + outs, column + rank
        return torch.mm(gradient, self.frozen).addmm_(inner_gradient, kept.down)


def _adapter(layer: Linear) -> _Adapter:
    down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    assert isinstance(down, Tensor)
    assert isinstance(up, Tensor)
    return _Adapter(down, up, float(layer.scaling[ADAPTER]))


def _side_by_side(ups: Sequence[Tensor]) -> Tensor:
    """(outs, rank) of each on the diagonal: (all outs, all ranks)."""
    if len(ups) == 1:
        return ups[0]
    whole = ups[0].new_zeros(sum(up.shape[0] for up in ups), sum(up.shape[1] for up in ups))
    row = column = 0
    for up in ups:
        whole[row : row + up.shape[0], column : column + up.shape[1]] = up
        row, column = row + up.shape[0], column + up.shape[1]
    return whole


def _stacked(layers: Sequence[torch.nn.Linear]) -> Tensor:
    """Their weights in one tensor, which they then look into: stacking takes no memory of its own."""
    if len(layers) == 1:
        return layers[0].weight.detach()
    whole = torch.cat([layer.weight.detach() for layer in layers])
    for layer, part in zip(layers, torch.split(whole, [layer.out_features for layer in layers]), strict=True):
        layer.weight.data = part
    return whole


def _add(weight: Tensor, gradient: Tensor, scale: float = 1.0) -> None:
    if weight.grad is None:
        weight.grad = torch.empty_like(weight).copy_(gradient).mul_(scale)
    else:
        weight.grad.add_(gradient, alpha=scale)
