"""Many samples at once, in the shortest time: what has ended makes room, so that the longest holds up nobody.

`generate` computes every row until the last one has ended, and most posts are a quarter as long as the longest.
"""

from __future__ import annotations

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from trainer.base import separator_id
from trainer.cores import Cores
from trainer.evaluate import first_line
from trainer.recipes import Sampling

SIDE_BY_SIDE = 50
CROWDED = 0.75
"""Rows are packed anew once fewer than this share of them goes on."""


def converse(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, count: int, sampling: Sampling, seed: int
) -> list[str]:
    """So many posts out of nothing, as the recipe samples them; the same ones for the same seed."""
    model.eval()
    end = separator_id(tokenizer)
    seeds = torch.randint(2**62, (-(-count // SIDE_BY_SIDE),), generator=torch.Generator().manual_seed(seed))

    def some(part: int) -> list[list[int]]:
        draw = torch.Generator(model.device).manual_seed(int(seeds[part]))
        return _side_by_side(model, min(SIDE_BY_SIDE, count - part * SIDE_BY_SIDE), end, sampling, draw)

    parts = Cores(model.device).each(some, range(len(seeds)))
    return [first_line(str(tokenizer.decode(row, skip_special_tokens=True))) for rows in parts for row in rows]


@torch.no_grad()
def _side_by_side(
    model: PreTrainedModel, count: int, end: int, sampling: Sampling, draw: torch.Generator
) -> list[list[int]]:
    done: dict[int, list[int]] = {}
    numbers = torch.arange(count, device=model.device)
    alive = torch.ones(count, dtype=torch.bool, device=model.device)
    said = torch.full((count, 1), end, device=model.device)
    cache = DynamicCache()
    while alive.any() and said.shape[1] < sampling.max_tokens:
        logits = model(input_ids=said[:, -1:], cache=cache, use_cache=True).logits[:, -1].float()
        if said.shape[1] < sampling.min_tokens:
            logits[:, end] = -torch.inf
        drawn = _draw(logits, sampling, draw)
        said = torch.cat([said, drawn], dim=1)
        ended = alive & (drawn[:, 0] == end)
        done |= dict(zip(numbers[ended].tolist(), said[ended].tolist(), strict=True))
        alive &= ~ended
        if alive.sum() < CROWDED * len(alive) and alive.any():
            kept = alive.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            numbers, said, alive = numbers[kept], said[kept], alive[kept]
    done |= dict(zip(numbers[alive].tolist(), said[alive].tolist(), strict=True))
    return [done[number] for number in range(count)]


def _draw(logits: torch.Tensor, sampling: Sampling, draw: torch.Generator) -> torch.Tensor:
    """One token a row, (rows, 1): temperature, top-k, then top-p, as `generate` has them.

    Top-p looks only at what top-k left: `generate` sorts the whole vocabulary, which takes longer than the model does.
    """
    likeliest = logits.topk(sampling.top_k or logits.shape[-1], dim=-1)  # the likeliest first
    chances = (likeliest.values / sampling.temperature).softmax(dim=-1)
    before = chances.cumsum(dim=-1) - chances
    chances = chances.masked_fill(before >= sampling.top_p, 0.0)
    return likeliest.indices.gather(-1, torch.multinomial(chances, 1, generator=draw))
