"""One layer of a Llama forward and backward, for a row of posts that do not see each other.

The derivatives are written out, so that nothing is kept or computed that adapters do not need: no gradient of a frozen
weight, no copy of keys and values a query head, no cast of what is in its precision already. The mathematics is that of
transformers' `LlamaDecoderLayer`: RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467), rotary positions (Su et al.
2021, arXiv:2104.09864), grouped queries (Ainslie et al. 2023, arXiv:2305.13245), SwiGLU (Shazeer 2020,
arXiv:2002.05202).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, silu
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from trainer.lean import product
from trainer.lean.product import Product


@dataclass(frozen=True)
class Sight:
    """Where each token of a row stands, and what it sees."""

    cos: Tensor
    sin: Tensor
    """(T, 1, head_dim), the sines of the first half negative."""
    hidden: Tensor
    """(group · T, T), T rows a query of a group: 0 where a token (row) sees another (column), else minus infinity."""


@dataclass(frozen=True)
class Normed:
    """What RMSNorm leaves for its backward pass: x / rms (T, width) and 1 / rms (T, 1), in fp32."""

    x: Tensor
    rate: Tensor


@dataclass(frozen=True)
class KeptMLP:
    """What the backward pass of a block's second half needs."""

    norm: Normed
    gate_up: product.Kept | None
    gates: Tensor
    """Gate and up side by side, (T, 2 · intermediate)."""
    opened: Tensor
    """silu(gate), (T, intermediate)."""
    down: product.Kept | None


@dataclass(frozen=True)
class Kept:
    """What the backward pass of a block needs. Heads first: queries (kv, group · T, dim), scaled, keys and values."""

    norm_1: Normed
    qkv: product.Kept
    q: Tensor
    k: Tensor
    v: Tensor
    attention: Tensor
    """(kv, group · T, T)"""
    out: product.Kept
    mlp: KeptMLP


class Block:
    """A layer's weights, as its two passes use them."""

    def __init__(self, layer: LlamaDecoderLayer) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._qkv = Product([attention.q_proj, attention.k_proj, attention.v_proj])
        self._out = Product([attention.o_proj])
        self._gate_up = Product([mlp.gate_proj, mlp.up_proj])
        self._down = Product([mlp.down_proj])
        self._norm_1 = layer.input_layernorm
        self._norm_2 = layer.post_attention_layernorm
        self._heads: int = attention.config.num_attention_heads
        self._kv: int = self._heads // attention.num_key_value_groups
        self._dim: int = attention.head_dim

    @property
    def learns(self) -> bool:
        return self._qkv.learns

    def refresh(self) -> None:
        """Take the adapters as they are now."""
        for one in (self._qkv, self._out, self._gate_up, self._down):
            one.refresh()

    def forward(self, x: Tensor, sight: Sight) -> tuple[Tensor, Kept | None]:
        """x (T, width) → the same, and what `backward` needs where this layer learns."""
        tokens, kv, heads, dim = len(x), self._kv, self._heads, self._dim
        normed_1, norm_1 = normalise(x, self._norm_1.weight, self._norm_1.variance_epsilon)
        qkv, kept_qkv = self._qkv.forward(normed_1)
        turned = _turn(qkv[:, : (heads + kv) * dim].view(tokens, heads + kv, dim), sight.cos, sight.sin)
        q = turned[:, :heads].transpose(0, 1).reshape(kv, -1, dim).mul_(dim**-0.5)
        k = turned[:, heads:].transpose(0, 1).contiguous()
        v = qkv[:, (heads + kv) * dim :].view(tokens, kv, dim).transpose(0, 1).contiguous()
        attention = torch.baddbmm(sight.hidden, q, k.transpose(1, 2)).softmax(-1)
        seen = torch.bmm(attention, v).view(heads, tokens, dim)
        out, kept_out = self._out.forward(seen.transpose(0, 1).reshape(tokens, -1))
        y, kept_mlp = self._think(out.add_(x))
        kept = None
        if kept_qkv and kept_out:
            kept = Kept(norm_1, kept_qkv, q, k, v, attention, kept_out, kept_mlp)
        return y, kept

    def past(self, rows: int, like: Tensor) -> Tensor:
        """Room for no place yet, to be padded, of the type and on the device of `like`."""
        return like.new_empty(2, rows, self._kv, 0, self._dim)

    def step(self, x: Tensor, cos: Tensor, sin: Tensor, past: Tensor, place: int) -> Tensor:
        """One more token a row, all of them at one place: x (rows, width) → the same.

        `cos` and `sin` are (1, 1, head_dim), as those of a `Sight`. `past` (2, rows, kv, places, dim) holds the keys
        and the values of the places before, and gets this one's.
        """
        rows, kv, heads, dim = len(x), self._kv, self._heads, self._dim
        normed, _ = normalise(x, self._norm_1.weight, self._norm_1.variance_epsilon)
        qkv, _ = self._qkv.forward(normed)
        turned = _turn(qkv[:, : (heads + kv) * dim].view(rows, heads + kv, dim), cos, sin)
        past[0, :, :, place] = turned[:, heads:]
        past[1, :, :, place] = qkv[:, (heads + kv) * dim :].view(rows, kv, dim)
        keys, values = past[:, :, :, : place + 1]
        # Plain products would have oneDNN build kernels for each number of places, which takes longer than they do.
        seen = scaled_dot_product_attention(turned[:, :heads, None], keys, values, enable_gqa=True)
        out, _ = self._out.forward(seen.view(rows, heads * dim))
        return self._think(out.add_(x))[0]

    def _think(self, x: Tensor) -> tuple[Tensor, KeptMLP]:
        """The second half, from what the first leaves: x (T, width) → the same."""
        normed, norm = normalise(x, self._norm_2.weight, self._norm_2.variance_epsilon)
        gates, kept_gates = self._gate_up.forward(normed)
        gate, up = gates.chunk(2, -1)
        opened = silu(gate)
        down, kept_down = self._down.forward(opened * up)
        return down.add_(x), KeptMLP(norm, kept_gates, gates, opened, kept_down)

    def backward(self, gradient: Tensor, kept: Kept, sight: Sight) -> Tensor:
        """Gradient of the output (T, width) → of the input; the adapters' is added to theirs."""
        mlp = kept.mlp
        assert mlp.down and mlp.gate_up
        through = self._down.backward(gradient, mlp.down)
        through = self._gate_up.backward(_gated_backward(through, mlp), mlp.gate_up)
        middle = normalise_backward(through, self._norm_2.weight, mlp.norm).add_(gradient)
        through = self._attend_backward(self._out.backward(middle, kept.out), kept, sight)
        through = self._qkv.backward(through, kept.qkv)
        return normalise_backward(through, self._norm_1.weight, kept.norm_1).add_(middle)

    def _attend_backward(self, gradient: Tensor, kept: Kept, sight: Sight) -> Tensor:
        """Gradient of what was seen (T, heads · dim) → of q, k and v side by side."""
        tokens, kv, heads, dim = len(gradient), self._kv, self._heads, self._dim
        above = gradient.view(tokens, heads, dim).transpose(0, 1).reshape(kv, -1, dim)
        v = torch.bmm(kept.attention.transpose(1, 2), above)
        wanted = torch.bmm(above, kept.v.transpose(1, 2))
        scores = torch._softmax_backward_data(wanted, kept.attention, -1, above.dtype)
        q = torch.bmm(scores, kept.k).mul_(dim**-0.5).view(heads, tokens, dim)
        k = torch.bmm(scores.transpose(1, 2), kept.q)
        turned = _turn(torch.cat((q, k)).transpose(0, 1), sight.cos, -sight.sin)
        return torch.cat((turned.flatten(1), v.transpose(0, 1).reshape(tokens, -1)), dim=-1)


def normalise(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Normed]:
    """RMSNorm, computed in fp32, as transformers does it."""
    wide = x.float()
    rate = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    unit = (wide * rate).to(x.dtype)
    return unit * weight, Normed(unit, rate)


def normalise_backward(gradient: Tensor, weight: Tensor, normed: Normed) -> Tensor:
    """Gradient of RMSNorm's output → of its input."""
    wide, unit = (gradient * weight).float(), normed.x.float()
    along = (wide * unit).mean(-1, keepdim=True)
    return wide.addcmul_(unit, along, value=-1).mul_(normed.rate).to(gradient.dtype)


def waves(places: Tensor, frequencies: Tensor, scaling: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """`cos` and `sin` of a `Sight` for tokens at these places (T,); long-context variants scale them."""
    angles = places[:, None, None] * frequencies
    cos, sin = (wave.to(dtype) for wave in (angles.cos() * scaling, angles.sin() * scaling))
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on (T, heads, dim): halves, not neighbours, are turned. Minus `sin` turns back."""
    first, second = x.chunk(2, -1)
    return (x * cos).addcmul_(torch.cat((second, first), dim=-1), sin)


def _gated_backward(gradient: Tensor, kept: KeptMLP) -> Tensor:
    """Gradient of silu(gate) · up → of gate and up, side by side."""
    gate, up = kept.gates.chunk(2, -1)
    both = torch.empty_like(kept.gates)
    gate_gradient, up_gradient = both.chunk(2, -1)
    torch.mul(gradient, kept.opened, out=up_gradient)
    torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=gate_gradient)
    return both
