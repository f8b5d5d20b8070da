"""How good is it, on posts it never saw; and how does it sound."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from trainer.base import Model, separator_id
from trainer.cores import one_core
from trainer.corpus import CleanPost
from trainer.learner import Learner
from trainer.packing import Row, pack, tokenize
from trainer.recipes import Recipe, Sampling

QUICK_LOOK_CHARACTERS = 4_000
"""Of held-out posts, for a look while training goes on. It only says which weights are better, on the same posts."""
SAMPLE_TOKENS = 48
"""New tokens of a sample on the way; the voice speaks longer."""


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


@torch.no_grad()
def speak(
    model: Model, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], sampling: Sampling, seed: int
) -> list[str]:
    """One sample a prompt, all at once, without touching the training's random state."""
    if not prompts:
        return []
    end = separator_id(tokenizer)
    rows = [[end, *tokenizer.encode(prompt, add_special_tokens=False, split_special_tokens=True)] for prompt in prompts]
    longest = max(len(row) for row in rows)
    before = [longest - len(row) for row in rows]
    inputs = torch.tensor([[end] * pads + row for pads, row in zip(before, rows, strict=True)], device=model.device)
    seen = torch.tensor([[0] * pads + [1] * (longest - pads) for pads in before], device=model.device)
    training = model.training
    model.eval()
    with torch.random.fork_rng(), one_core():
        torch.manual_seed(seed)
        outputs = model.generate(  # type: ignore[operator]
            inputs=inputs,
            attention_mask=seen,
            do_sample=True,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            min_length=sampling.min_tokens,
            max_new_tokens=SAMPLE_TOKENS,
            eos_token_id=end,
            pad_token_id=end,
        )
    model.train(training)
    return [first_line(str(tokenizer.decode(row, skip_special_tokens=True))) for row in outputs]


def first_line(text: str) -> str:
    """What is shown of a generated text: its first line, without space around it."""
    return text.strip().split("\n", 1)[0].strip()
