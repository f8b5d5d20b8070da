"""Weights that never change, multiplied from both sides.

In bf16 on a processor, oneDNN would bring a plain matrix into its own layout for every product, which for rows of some
hundred tokens costs as much as the product. So they are brought into it once, as torch.compile's frozen weights are
(torch/_inductor/fx_passes/mkldnn_fusion.py). Those operators are torch's own and not promised to stay; where they are
missing, the plain products do the same.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

USUAL_TOKENS = 96
"""The layout is chosen for rows of about so many tokens; it serves any number."""


class Frozen:
    """A matrix (outs, in).

    Args:
        is_long: it has so many outs that nothing is won by packing it for the way back.
        has_way_back: something below it learns.
    """

    def __init__(self, weight: Tensor, *, is_long: bool = False, has_way_back: bool = True) -> None:
        self._forth = _packed(weight)
        self._back = _packed(weight.t()) if has_way_back and not is_long else None
        self.is_packed = self._forth is not None and not is_long
        """Whether nothing needs the matrix as it was any more."""
        self._weight = weight.new_empty(0) if self.is_packed else weight

    def forth(self, x: Tensor) -> Tensor:
        """x (T, in) → x · Wᵀ (T, outs)."""
        if self._forth is None:
            return linear(x, self._weight)
        return _times(x, self._forth)

    def back(self, gradient: Tensor) -> Tensor:
        """gradient (T, outs) → gradient · W (T, in)."""
        if self._back is None:
            return torch.mm(gradient, self._weight)
        return _times(gradient, self._back)


def _packed(weight: Tensor) -> Tensor | None:
    """(outs, in) in oneDNN's layout, where torch has it for this type and device."""
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16 or not _can_pack():
        return None
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), USUAL_TOKENS)
    assert isinstance(packed, Tensor)
    return packed


def _can_pack() -> bool:
    needed = ("_is_mkldnn_bf16_supported", "_reorder_linear_weight", "_linear_pointwise")
    return all(hasattr(torch.ops.mkldnn, one) for one in needed) and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _times(x: Tensor, packed: Tensor) -> Tensor:
    product = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    assert isinstance(product, Tensor)
    return product
