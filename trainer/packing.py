"""Posts as rows of tokens: what one optimizer step sees.

`packed`: whole posts side by side in a row; positions start anew and attention is block-diagonal, so no post sees
another, nothing is padded, and every position predicts a token of its own post or its end (packing without
cross-contamination: Krell et al. 2021, arXiv:2107.02027).
`blocks`: huggingtweets' one stream, cut every `block_tokens`; posts see those before them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from trainer.base import SEPARATOR, separator_id
from trainer.recipes import Recipe

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """Posts' tokens, each with the separator at both ends; a block is one such piece."""

    pieces: tuple[Tokens, ...]

    @property
    def targets(self) -> int:
        return sum(len(piece) - 1 for piece in self.pieces)


@dataclass(frozen=True)
class Batch:
    """One row as tensors: inputs, labels and positions (1, T), and the mask of what sees what (1, 1, T, T)."""

    inputs: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor | None


def tokenize(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[Tokens]:
    """Each text between two separators, cut after `limit` tokens. Text that looks like a special token stays text."""
    end = separator_id(tokenizer)
    pieces: list[Tokens] = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        cut = (end, *ids[: limit - 1])
        pieces.append(cut if len(ids) >= limit else (*cut, end))
    return pieces


def pack(pieces: Sequence[Tokens], row_tokens: int) -> list[Row]:
    """Rows of whole pieces in the given order, each of about `row_tokens` targets; a longer piece has its own row."""
    rows: list[Row] = []
    row: list[Tokens] = []
    size = 0
    for piece in pieces:
        if row and size + len(piece) - 1 > row_tokens:
            rows.append(Row(tuple(row)))
            row, size = [], 0
        row.append(piece)
        size += len(piece) - 1
    if row:
        rows.append(Row(tuple(row)))
    return rows


def training_rows(
    epochs: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase, recipe: Recipe, order: random.Random
) -> list[Row]:
    """Every optimizer step of a training, in order: the posts of each epoch as `trainer.epochs` orders them."""
    if recipe.layout == "blocks":
        return _blocks(epochs, tokenizer, recipe, order)
    rows: list[Row] = []
    for epoch in epochs:
        rows += pack(tokenize(epoch, tokenizer, recipe.block_tokens), recipe.row_tokens)
    return rows


def _blocks(
    epochs: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase, recipe: Recipe, order: random.Random
) -> list[Row]:
    """huggingtweets: all epochs in one text; blocks of 1,024 tokens, shuffled; the rest dropped."""
    stream = SEPARATOR + "".join(SEPARATOR.join(epoch) + SEPARATOR for epoch in epochs)
    ids = tokenizer.encode(stream, add_special_tokens=False)
    size = recipe.block_tokens
    blocks = [Row((tuple(ids[start : start + size]),)) for start in range(0, len(ids) - size + 1, size)]
    order.shuffle(blocks)
    return blocks


def to_batch(row: Row, device: torch.device) -> Batch:
    """A row as tensors on the device; a row of one piece needs no mask beyond the causal one."""
    inputs = torch.tensor([[token for piece in row.pieces for token in piece[:-1]]])
    labels = torch.tensor([[token for piece in row.pieces for token in piece[1:]]])
    positions = torch.tensor([[place for piece in row.pieces for place in range(len(piece) - 1)]])
    mask: torch.Tensor | None = None
    if len(row.pieces) > 1:
        owner = torch.tensor([index for index, piece in enumerate(row.pieces) for _ in piece[:-1]])
        mask = ((owner[:, None] == owner[None, :]) & _causal(len(owner)))[None, None].to(device)
    return Batch(inputs.to(device), labels.to(device), positions.to(device), mask)


def _causal(size: int) -> torch.Tensor:
    return torch.ones(size, size, dtype=torch.bool).tril()
