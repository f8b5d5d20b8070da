"""Is a sample the clone's own, or a training post word for word?

Long runs of words in common with the training data are the usual sign of memorisation (McCoy et al. 2023, "How much do
language models copy from their training data?", TACL 11). Words are compared as `trainer.quality.words` has them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from trainer.quality.words import COPIED_WORDS, words
from trainer.report import NearestSource

COPIED_SHARE = 0.8
SHORT_WORDS = 3
"""A sample of fewer words is anybody's: it counts as copied only where it is a whole training post."""
_GAP = 0
"""After each post, so that no run goes on into the next one."""
_UNKNOWN = -1


class Originals:
    """The training posts, all their words in a row, with a sorted list of every place in it.

    Such a suffix array (Manber & Myers 1993, SIAM J. Computing 22:5) finds the longest run in common by bisection, in
    the same time however often posts repeat themselves: 30,000 posts are read in a second or two, and a sample takes a
    millisecond.
    """

    def __init__(self, posts: Sequence[str]) -> None:
        self._posts = posts
        self._numbers: dict[str, int] = {}
        self._row: list[int] = []
        self._starts: list[int] = []
        self._short: dict[tuple[str, ...], int] = {}
        for post in posts:
            found = words(post)
            if len(found) < SHORT_WORDS:
                self._short.setdefault(tuple(found), len(self._row))
            self._starts.append(len(self._row))
            self._row += [self._numbers.setdefault(word, len(self._numbers) + 1) for word in found]
            self._row.append(_GAP)
        self._sorted = _sort_places(self._row)

    def nearest(self, sample: str, prompt: str = "") -> NearestSource:
        """A training post that shares the longest run of words with a sample.

        The words of the prompt that a sample begins with were given by the asker, and do not count.
        """
        own = _without_prompt(words(sample), words(prompt))
        whole = self._short.get(tuple(own)) if own else None
        run, place = self._longest_run(own) if whole is None else (len(own), whole)
        share = run / len(own) if own else 0.0
        long_enough = len(own) >= SHORT_WORDS and (run >= COPIED_WORDS or share >= COPIED_SHARE)
        source = self._posts[bisect_right(self._starts, place) - 1] if run else ""
        return NearestSource(
            sample=sample, source=source, words=run, share=share, copied=long_enough or whole is not None
        )

    def nearest_of_each(self, samples: Sequence[str], prompts: Sequence[str] = ()) -> tuple[NearestSource, ...]:
        """The same for many samples; prompts are one a sample, or none at all."""
        asked = prompts or [""] * len(samples)
        return tuple(self.nearest(sample, prompt) for sample, prompt in zip(samples, asked, strict=True))

    def _longest_run(self, own: list[str]) -> tuple[int, int]:
        """Its length, and where in the row it begins."""
        numbers = [self._numbers.get(word, _UNKNOWN) for word in own]

        def following(place: int) -> list[int]:
            return self._row[place : place + len(numbers)]

        longest, found = 0, 0
        for start in range(len(numbers)):
            rest = numbers[start:]
            if len(rest) <= longest:
                break
            at = bisect_left(self._sorted, rest, key=following)
            for place in self._sorted[max(0, at - 1) : at + 1]:
                run = _common(rest, following(place))
                if run > longest:
                    longest, found = run, place
        return longest, found


def _without_prompt(own: list[str], given: list[str]) -> list[str]:
    return own[len(given) :] if own[: len(given)] == given else own


def _common(a: list[int], b: list[int]) -> int:
    """How many numbers two lists begin with alike."""
    return next((at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))


def _sort_places(row: Sequence[int]) -> list[int]:
    """All places in a row, in the order of what follows them.

    Sorted by one number, then by two, four and so on, each time from the ranks of the halves.
    """
    ranks = np.asarray(row, dtype=np.int64)
    places = np.argsort(ranks, kind="stable")
    known = 1
    while known < len(row):
        following = np.zeros_like(ranks)
        following[:-known] = ranks[known:] + 1
        keys = ranks * (len(row) + 2) + following
        places = np.argsort(keys, kind="stable")
        ordered = keys[places]
        ranks[places] = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])])
        if ranks[places[-1]] == len(row) - 1:
            break
        known *= 2
    return list(places.tolist())
