"""Which samples are posts, and which are drawn again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from bot.errors import VoiceError
from bot.voice.base import Speaker, Utterance
from bot.voice.drawing import Draw, draw_posts
from trainer.recipes import Sampling


def posts(*continuations: str, prompt: str = "", count: int = 1) -> list[str]:
    """What is said where these samples come one after another, and then the last again and again."""
    left = list(continuations)

    def draw(seeds: Sequence[int]) -> list[Draw]:
        return [Draw(left.pop(0) if len(left) > 1 else left[0], tokens=20) for _ in seeds]

    utterance = Utterance(Speaker("ada"), prompt, count, 1, Sampling())
    return draw_posts(utterance, prompt, (), draw, threading.Event())


def test_what_says_nothing_new_is_drawn_again() -> None:
    assert posts(" ", "tea\nand more", "tea", "the sea", count=2) == ["tea", "the sea"]
    assert posts("", " of tea", prompt="a cup") == ["a cup of tea"]


def test_each_post_is_heard_before_the_next_is_drawn() -> None:
    heard: list[str] = []

    def draw(seeds: Sequence[int]) -> Iterator[Draw]:
        for seed in seeds:
            assert len(heard) == seed - 1
            yield Draw(f"the {seed}th", tokens=20)

    utterance = Utterance(Speaker("ada"), "", 3, 1, Sampling())
    assert draw_posts(utterance, "", (), draw, threading.Event(), heard.append) == heard
    assert len(heard) == 3


def test_nothing_but_names_is_drawn_again() -> None:
    assert posts("@bea @@cleo (#tea", "@bea tea?") == ["@bea tea?"]
    assert posts("👀") == ["👀"]
    with pytest.raises(VoiceError, match="Nothing worth saying came out in 12 attempts"):
        posts("#tea")
