"""From raw samples to posts: what is tidied, what is drawn again, and with which seeds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from bot.errors import VoiceError
from bot.voice.base import Cancelled, Heard, Utterance, ignore
from trainer.quality.words import only_names

SEEDS = 2**32 - 1
"""Seeds run below this one: llama.cpp takes 2**32 - 1 to mean a random seed."""

_DRAWS_PER_POST = 4
_SPARE_DRAWS = 8


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample: what the model wrote after the prompt, and how many tokens there are with the prompt."""

    continuation: str
    tokens: int


def tidy_prompt(prompt: str, special_tokens: Collection[str]) -> str:
    """A prompt as the training posts were cleaned: one line, single spaces; what spells a special token is dropped."""
    return " ".join(_without(prompt, special_tokens).split())


def context_ids(
    context: Sequence[str], special_tokens: Collection[str], encode: Callable[[str], list[int]], end: int, room: int
) -> list[int]:
    """What was said before as the ids of posts, each after its `end`; older ones are left out where `room` is short."""
    ids: list[int] = []
    for text in reversed(context):
        before = [end, *encode(tidy_prompt(text, special_tokens))]
        if len(before) + len(ids) > room:
            break
        ids = before + ids
    return ids


def draw_posts(
    utterance: Utterance,
    prompt: str,
    special_tokens: Collection[str],
    draw: Callable[[Sequence[int]], Iterable[Draw]],
    cancelled: threading.Event,
    heard: Heard = ignore,
) -> list[str]:
    """Draw until there are `count` different posts, or the limit of draws is reached; each is `heard` at once.

    Seeds are used in order from the utterance's own, so the same seed gives the same posts. Raises Cancelled, and
    VoiceError where no draw gave a post.
    """
    posts: list[str] = []
    used = 0
    limit = utterance.count * _DRAWS_PER_POST + _SPARE_DRAWS
    while len(posts) < utterance.count and used < limit:
        if cancelled.is_set():
            raise Cancelled("The request was cancelled.")
        wanted = min(utterance.count - len(posts), limit - used)
        seeds = [(utterance.seed + used + step) % SEEDS for step in range(wanted)]
        used += wanted
        for sample in draw(seeds):
            post = _without(f"{prompt}{sample.continuation}", special_tokens).split("\n", 1)[0].strip()
            says_something = post != prompt and bool(sample.continuation.strip()) and not only_names(post)
            if says_something and sample.tokens >= utterance.sampling.min_tokens and post not in posts:
                posts.append(post)
                heard(post)
    if not posts:
        raise VoiceError(f"Nothing worth saying came out in {used} attempts.", "Try another prompt, or another seed.")
    return posts


def prompt_too_long(prompt: str, tokens: int, limit: int) -> VoiceError:
    """The error for a prompt that leaves no room to speak. `limit` is the most tokens a prompt may have."""
    words, share = len(prompt.split()), max(limit, 0) / tokens
    fits = f"{int(words * share)} words" if words * share >= 2 else f"{int(len(prompt) * share)} characters"
    return VoiceError("The prompt is too long for this voice.", f"Shorten it to about {fits}.")


def text_too_long(tokens: int, limit: int) -> VoiceError:
    """The error for a text that does not fit the context it is to be scored in."""
    return VoiceError(
        f"A text of {tokens} tokens is longer than the voice can score, which is {limit}.",
        "Raise voice.context_tokens in config.toml.",
    )


def _without(text: str, special_tokens: Collection[str]) -> str:
    """Drop what spells a special token, again and again: taking one out may join the halves of another."""
    before = None
    while before != text:
        before = text
        for token in special_tokens:
            text = text.replace(token, "")
    return text
