"""What changed in a person's posts: how they are written, and what they are about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from trainer.quality.features import NAMES, features
from trainer.quality.style import comparable, style_distance, style_distance_self
from trainer.quality.words import words
from trainer.report import Change, DriftReport

MOST_WORDS = 10
PRIOR_WORDS = 1000
"""Weight of what is known before looking: that both sets use words as they do together."""
FEWEST_USES = 3
CLEARLY = 3.0
"""Standard errors. Thousands of words are looked at, so that two would let dozens pass by chance."""


def drift(old_posts: Sequence[str], new_posts: Sequence[str], seed: int) -> DriftReport:
    """New posts beside the old ones, both cleaned, oldest first.

    Raises:
        ValueError: there are fewer than four old posts or two new ones.
    """
    size = comparable(len(old_posts) // 2, len(new_posts))
    rising, fading = words_apart(old_posts, new_posts)
    return DriftReport(
        old_posts=len(old_posts),
        new_posts=len(new_posts),
        changes=_changes(old_posts, new_posts),
        style_distance=style_distance(old_posts, new_posts, seed, size),
        style_distance_self=style_distance_self(old_posts, seed, size),
        rising=rising,
        fading=fading,
    )


def words_apart(old_posts: Sequence[str], new_posts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words that clearly came up, and those that went, the strongest first.

    Log-odds with an informative Dirichlet prior, by their standard errors (Monroe, Colaresi & Quinn 2008, "Fightin'
    Words", Political Analysis 16:4), the prior being both sets together. A word counts once a post; mentions do not.
    """
    old, new = _uses(old_posts), _uses(new_posts)
    both = old + new
    prior = {word: PRIOR_WORDS * uses / both.total() for word, uses in both.items()}

    def log_odds(uses: Counter[str], word: str) -> float:
        known = uses[word] + prior[word]
        return float(np.log(known / (uses.total() + PRIOR_WORDS - known)))

    def strength(word: str) -> float:
        variance = 1 / (new[word] + prior[word]) + 1 / (old[word] + prior[word])
        return float((log_odds(new, word) - log_odds(old, word)) / np.sqrt(variance))

    apart = {word: strength(word) for word, uses in both.items() if uses >= FEWEST_USES and len(both) > 1}
    ranked = sorted(apart, key=lambda word: (-abs(apart[word]), word))
    rising = [word for word in ranked if apart[word] >= CLEARLY]
    fading = [word for word in ranked if apart[word] <= -CLEARLY]
    return tuple(rising[:MOST_WORDS]), tuple(fading[:MOST_WORDS])


def _uses(posts: Sequence[str]) -> Counter[str]:
    """In how many posts each word occurs, mentions apart."""
    return Counter(
        word for post in posts for word in set(words(" ".join(part for part in post.split() if "@" not in part)))
    )


def _changes(old_posts: Sequence[str], new_posts: Sequence[str]) -> tuple[Change, ...]:
    """Every feature that occurs, the largest change first, by standard deviations (Cohen's d)."""
    old, new = features(old_posts), features(new_posts)
    spread = np.sqrt((old.var(axis=0) + new.var(axis=0)) / 2)
    before, now = old.mean(axis=0), new.mean(axis=0)
    effects = np.divide(now - before, spread, out=np.zeros_like(spread), where=spread > 0)
    found = [
        Change(name=name, before=float(was), now=float(new_mean), effect=float(effect))
        for name, was, new_mean, effect in zip(NAMES, before, now, effects, strict=True)
        if was or new_mean
    ]
    return tuple(sorted(found, key=lambda change: -abs(change.effect)))
