"""The last product and its cross-entropy, some tokens at a time, gradient and all.

The logits of a row are the largest tensor of a small model's training. Here they live in buffers that are used again
and again, and become their own gradient in place (as in Liger Kernel's fused linear cross-entropy, Hsu et al. 2024,
arXiv:2410.10989): an allocation of that size would be given back to the system, and faulted in anew, each time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MOST_TOKENS = 256


@dataclass(frozen=True)
class _Outcome:
    costs: Tensor
    """(n, 1): cross-entropy of each label, in nats."""
    spread: Tensor
    """(n, 1): cross-entropy of the uniform distribution, which label smoothing mixes in."""
    chances: Tensor
    """(n, vocabulary), in a buffer that the next portion overwrites."""


class Head:
    """The frozen output weights (vocabulary, width), and room for the logits of a few tokens."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self._logits = weight.new_empty(MOST_TOKENS, len(weight))
        self._wide = self._logits if weight.dtype == torch.float32 else self._logits.float()

    def costs(self, x: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each label (T,), in nats, for the normalised output x (T, width)."""
        portions = zip(torch.split(x, MOST_TOKENS), torch.split(labels, MOST_TOKENS), strict=True)
        return torch.cat([self._outcome(some, theirs).costs[:, 0] for some, theirs in portions])

    def learn(self, x: Tensor, labels: Tensor, smoothing: float) -> tuple[float, Tensor]:
        """The mean loss with label smoothing (Szegedy et al. 2016, arXiv:1512.00567), and its gradient for x."""
        share = 1.0 / len(x)
        total = 0.0
        gradients: list[Tensor] = []
        for some, theirs in zip(torch.split(x, MOST_TOKENS), torch.split(labels, MOST_TOKENS), strict=True):
            outcome = self._outcome(some, theirs)
            total += ((1 - smoothing) * outcome.costs + smoothing * outcome.spread).sum().item() * share
            gradient = outcome.chances.mul_(share)
            wanted = torch.full_like(outcome.costs, -(1 - smoothing) * share)
            gradient.scatter_add_(1, theirs[:, None], wanted)
            if smoothing:
                gradient.sub_(smoothing * share / len(self._weight))
            narrow = self._logits[: len(some)]
            if narrow.dtype != gradient.dtype:
                narrow.copy_(gradient)
            gradients.append(narrow @ self._weight)
        return total, torch.cat(gradients)

    def _outcome(self, x: Tensor, labels: Tensor) -> _Outcome:
        wide = self._wide[: len(x)]
        torch.mm(x, self._weight.t(), out=self._logits[: len(x)])
        if wide.dtype != x.dtype:
            wide.copy_(self._logits[: len(x)])
        wide.sub_(wide.amax(-1, keepdim=True))
        own, mean = wide.gather(1, labels[:, None]), wide.mean(-1, keepdim=True)
        total = wide.exp_().sum(-1, keepdim=True)
        return _Outcome(total.log() - own, total.log() - mean, wide.div_(total))
