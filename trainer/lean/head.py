"""The last product and its cross-entropy, gradient and all.

The logits of a row are the largest tensor of a small model's training. They become their own gradient in place (as in
Liger Kernel's fused linear cross-entropy, Hsu et al. 2024, arXiv:2410.10989), and what is computed on them in fp32 goes
over a few tokens at a time, which then stay in the processor's cache for all of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, split

from trainer.lean.frozen import Frozen

MOST_TOKENS = 256
"""Whose logits are in memory at one time."""
CACHED_TOKENS = 4
"""Whose logits, in fp32, stay in a core's cache: 49,152 of them take 200 kB."""


class Head:
    """The frozen output weights (vocabulary, width)."""

    def __init__(self, weight: Tensor) -> None:
        self._frozen = Frozen(weight, is_long=True)

    def logits(self, x: Tensor) -> Tensor:
        """Of normalised outputs x (rows, width), in fp32: (rows, vocabulary)."""
        return self._frozen.forth(x).float()

    def costs(self, x: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each label (n,), in nats, for the normalised outputs x (T, width), of which n count."""
        costs: list[Tensor] = []
        for outputs, theirs in _portions(x, labels):
            logits = self._frozen.forth(outputs)[: len(theirs)]
            costs += [
                _surprise(some.to(torch.float32, copy=True), wanted[:, None])[0][:, 0]
                for some, wanted in zip(split(logits, CACHED_TOKENS), split(theirs, CACHED_TOKENS), strict=True)
            ]
        return torch.cat(costs)

    def learn(self, x: Tensor, labels: Tensor, share: float, smoothing: float) -> tuple[float, Tensor]:
        """The loss and its gradient for x (T, width), of whose outputs the first n, those with a label (n,), count.

        Each label's cross-entropy counts `share`, with label smoothing (Szegedy et al. 2016, arXiv:1512.00567).
        """
        loss = 0.0
        gradients: list[Tensor] = []
        for outputs, theirs in _portions(x, labels):
            logits = self._frozen.forth(outputs)
            counting = logits[: len(theirs)]
            for some, wanted in zip(split(counting, CACHED_TOKENS), split(theirs, CACHED_TOKENS), strict=True):
                loss += _learn(some, wanted[:, None], share, smoothing)
            logits[len(theirs) :].zero_()
            gradients.append(self._frozen.back(logits))
        return loss, torch.cat(gradients)


def _portions(x: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Outputs and their labels, some at a time; the last outputs may lack some."""
    begins = range(0, len(x), MOST_TOKENS)
    return [(x[begin : begin + MOST_TOKENS], labels[begin : begin + MOST_TOKENS]) for begin in begins]


def _learn(logits: Tensor, labels: Tensor, share: float, smoothing: float) -> float:
    """The loss of some logits (n, vocabulary), which become its gradient; labels are (n, 1)."""
    wide = logits.float()
    mean = wide.mean(-1, keepdim=True) if smoothing else None
    costs, logs = _surprise(wide, labels)
    loss = costs if mean is None else (1 - smoothing) * costs + smoothing * (logs - mean)
    wide.mul_(share)
    wide.scatter_add_(1, labels, torch.full_like(costs, -(1 - smoothing) * share))
    if smoothing:
        wide.sub_(smoothing * share / logits.shape[1])
    if wide.dtype != logits.dtype:
        logits.copy_(wide)
    return float(loss.sum()) * share


def _surprise(wide: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each label's cross-entropy (n, 1), and the log of the sum (n, 1) that turned logits, in fp32, into chances."""
    own = wide.gather(1, labels)
    peak = wide.amax(-1, keepdim=True)
    total = wide.sub_(peak).exp_().sum(-1, keepdim=True)
    wide.div_(total)
    logs = total.log_().add_(peak)
    return logs - own, logs
