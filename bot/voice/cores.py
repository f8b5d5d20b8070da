"""A base on several cores, each of which decodes by itself, so that none waits for another; one alone has them all.

Cores that share the work on one token wait for each other some thousand times. That pays for a single reply, where the
others would be idle.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from bot.errors import VoiceError
from bot.voice.base import TextScore
from bot.voice.batching import Asker, Batcher, Completion
from bot.voice.llama_base import LlamaBase
from trainer.recipes import Sampling

_MOST_SHARING = 4
"""With more cores, a model this small waits longer than it computes."""

S = TypeVar("S")
T = TypeVar("T")


class Cores:
    """A base on some cores: what is asked goes to those with least to do, the samples of one request to all of them."""

    def __init__(self, base: LlamaBase, cores: int, slots: int, context_tokens: int) -> None:
        self._base = base
        self._count = min(cores, slots)
        self._cores: list[Batcher] = []
        try:
            for _ in range(self._count):
                self._cores.append(Batcher(base, -(-slots // self._count), context_tokens, self._cores_each))
        except VoiceError:  # memory was enough for some of them
            self.close()
            raise
        self._counting = threading.Lock()

    def write(
        self, ids: Sequence[int], room: int, seeds: Sequence[int], sampling: Sampling, asker: Asker
    ) -> Iterator[Completion]:
        """One sample a seed, in order, each as soon as it and those before it are there.

        Raises Cancelled, and VoiceError.
        """
        return self._spread(seeds, lambda batcher, some: batcher.write(ids, room, some, sampling, asker))

    def score(self, texts: Sequence[Sequence[int]], asker: Asker) -> list[TextScore]:
        """One score a text, in order. Raises as `write` does."""
        return list(self._spread(texts, lambda batcher, some: batcher.score(some, asker)))

    def free_adapter(self, adapter: int) -> None:
        """Free it as soon as every core has dropped it; no request may use it any more."""
        left = iter(range(len(self._cores) - 1, -1, -1))

        def dropped() -> None:
            with self._counting:
                last = next(left) == 0
            if last:
                self._base.free_adapter(adapter)

        for batcher in self._cores:
            batcher.drop(adapter, dropped)

    def close(self) -> None:
        """Refuse what is asked and what will be, and free everything."""
        for batcher in self._cores:
            batcher.close()
        self._base.close()

    def _cores_each(self) -> int:
        """How many cores a token is decoded on: every one, where only one of them has something to do."""
        busy = sum(batcher.load > 0 for batcher in self._cores)
        return min(self._count, _MOST_SHARING) if busy == 1 else 1

    def _spread(self, what: Sequence[S], ask: Callable[[Batcher, Sequence[S]], list[Future[T]]]) -> Iterator[T]:
        batchers = sorted(self._cores, key=lambda one: one.load)[: len(what)]
        answers = [ask(batcher, what[place :: len(batchers)]) for place, batcher in enumerate(batchers)]
        return _results([answers[place % len(answers)][place // len(answers)] for place in range(len(what))])


def _results(answers: Sequence[Future[T]]) -> Iterator[T]:
    """In order. Whatever goes wrong, nothing is left open: an adapter may be dropped then."""
    try:
        for answer in answers:
            yield answer.result()
    finally:
        wait(answers)
