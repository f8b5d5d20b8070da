"""Posts drawn from a model, many at once, in the shortest time: what has ended makes room, so that the longest holds up
nobody.

`generate` computes every row until the last one has ended, and most posts are a quarter as long as the longest.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from trainer.base import separator_id
from trainer.cores import Cores, one_core
from trainer.learner import Decoder, Speaker
from trainer.recipes import Sampling

SIDE_BY_SIDE = 50
CROWDED = 0.75
"""Rows are packed anew once fewer than this share of them goes on."""
PRACTICE_TOKENS = 48
"""New tokens of a sample on the way; the voice speaks longer."""


def converse(
    speaker: Speaker, tokenizer: PreTrainedTokenizerBase, count: int, sampling: Sampling, seed: int
) -> list[str]:
    """So many posts out of nothing, as the recipe samples them; the same ones for the same seed."""
    end = separator_id(tokenizer)
    parts = [min(SIDE_BY_SIDE, count - begun) for begun in range(0, count, SIDE_BY_SIDE)]
    seeds = torch.randint(2**62, (len(parts),), generator=torch.Generator().manual_seed(seed)).tolist()

    def some(part: int) -> list[list[int]]:
        rows = parts[part]
        return _side_by_side(
            speaker.decoder(rows), [[end]] * rows, [sampling.max_tokens] * rows, end, sampling, seeds[part]
        )

    every = Cores(speaker.device).each(some, range(len(parts)))
    return [first_line(_text(row, tokenizer)) for rows in every for row in rows]


def practise(
    speaker: Speaker, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], sampling: Sampling, seed: int
) -> list[str]:
    """One short sample a prompt, all at once on one core: so few take no longer there. One that is cut ends in `…`."""
    if not prompts:
        return []
    end = separator_id(tokenizer)
    begun = [
        [end, *tokenizer.encode(prompt, add_special_tokens=False, split_special_tokens=True)] for prompt in prompts
    ]
    limits = [len(row) + PRACTICE_TOKENS for row in begun]
    with one_core():
        rows = _side_by_side(speaker.decoder(len(begun)), begun, limits, end, sampling, seed)
    return [_practised(row, end, tokenizer) for row in rows]


def first_line(text: str) -> str:
    """What is shown of a generated text: its first line, without space around it."""
    return text.strip().split("\n", 1)[0].strip()


def _text(row: list[int], tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.decode(row, skip_special_tokens=True))


def _practised(row: list[int], end: int, tokenizer: PreTrainedTokenizerBase) -> str:
    """Its first line, which trails off where neither the post nor that line came to its end."""
    text = _text(row, tokenizer)
    is_whole = row[-1] == end or "\n" in text.strip()
    return first_line(text) + ("" if is_whole else "…")


def _side_by_side(
    decoder: Decoder, begun: Sequence[Sequence[int]], limits: Sequence[int], end: int, sampling: Sampling, seed: int
) -> list[list[int]]:
    """Rows that go on from what is given, to the end of the post or to so many tokens.

    All of them are at the same place: where one already writes, a longer beginning is still being read.
    """
    said = [list(row) for row in begun]
    rows = list(range(len(said)))  # those that the decoder goes on with; some have ended
    going = set(rows)
    draw: torch.Generator | None = None
    place = 0
    while going:
        logits = decoder.read(torch.tensor([said[row][place] if row in going else end for row in rows]))
        place += 1
        if place < sampling.min_tokens:
            logits[:, end] = -torch.inf
        draw = draw or torch.Generator(logits.device).manual_seed(seed)
        for row, token in zip(rows, _draw(logits, sampling, draw)[:, 0].tolist(), strict=True):
            if row in going and len(said[row]) == place:
                said[row].append(token)
                if token == end or len(said[row]) == limits[row]:
                    going.remove(row)
        if going and len(going) < CROWDED * len(rows):
            decoder.keep(torch.tensor([number for number, row in enumerate(rows) if row in going]))
            rows = [row for row in rows if row in going]
    return said


def _draw(logits: torch.Tensor, sampling: Sampling, draw: torch.Generator) -> torch.Tensor:
    """One token a row, (rows, 1): temperature, top-k, then top-p, as `generate` has them.

    Top-p looks only at what top-k left: `generate` sorts the whole vocabulary, which takes longer than the model does.
    """
    likeliest = logits.topk(sampling.top_k or logits.shape[-1], dim=-1)  # the likeliest first
    chances = (likeliest.values / sampling.temperature).softmax(dim=-1)
    before = chances.cumsum(dim=-1) - chances
    chances = chances.masked_fill(before >= sampling.top_p, 0.0)
    return likeliest.indices.gather(-1, torch.multinomial(chances, 1, generator=draw))
