"""How good is it, on posts it never saw."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from trainer.corpus import CleanPost
from trainer.learner import Learner
from trainer.packing import Row, pack, tokenize
from trainer.recipes import Recipe

QUICK_LOOK_CHARACTERS = 4_000
"""Of held-out posts, for a look while training goes on. It only says which weights are better, on the same posts."""


def heldout_rows(posts: Sequence[CleanPost], tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> list[Row]:
    """Held-out posts, each seen alone."""
    return pack(tokenize((post.text for post in posts), tokenizer, recipe.block_tokens), recipe.row_tokens)


def thin_out(posts: Sequence[CleanPost], characters: int = QUICK_LOOK_CHARACTERS) -> list[CleanPost]:
    """Evenly spaced posts of about that many characters together: a quick look while training goes on."""
    total = sum(len(post.text) for post in posts)
    stride = max(1, math.ceil(total / characters))
    return list(posts[::stride])


def nats(learner: Learner, rows: Sequence[Row]) -> list[float]:
    """What each post costs the model: the cross-entropy of its own tokens and its end, summed, in nats."""
    costs: list[float] = []
    for row in rows:
        each = learner.costs(row)
        costs += [post.sum().item() for post in torch.split(each, [len(piece) - 1 for piece in row.pieces])]
    return costs


def in_bits(costs: Sequence[float], posts: Sequence[CleanPost]) -> float:
    """Nats as bits per byte of the posts' UTF-8.

    Comparable across tokenizers, unlike perplexity a token (Gao et al. 2020, The Pile, arXiv:2101.00027, section 3.1).
    """
    return sum(costs) / math.log(2) / max(1, sum(sizes(posts)))


def sizes(posts: Sequence[CleanPost]) -> list[int]:
    """Each post's bytes in UTF-8."""
    return [len(post.text.encode()) for post in posts]
