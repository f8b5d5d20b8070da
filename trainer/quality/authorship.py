"""Who said it: a classifier that knows several people's posts names the author of a text.

Character n-grams and a linear classifier are the strong plain method for short texts by known authors (Stamatatos
2013, "On the robustness of authorship attribution based on character n-grams", J. Law & Policy 21:2). Five posts
are attributed together by the mean of their scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.quality.bootstrap import RESAMPLES, Floats, rate, rate_interval, resamples
from trainer.report import Authorship, Estimate

MOST_POSTS = 1000
"""The newest of each person; class weights even out what is left of the difference."""
MOST_OTHERS = 11
"""Those with the most posts."""
FEWEST_POSTS = 20
"""A person with fewer is left out."""
FEWEST_UNSEEN = 10
ASIDE = 0.1
"""Share of the others' posts, the newest, that the classifier does not learn."""
FIVE = 5


@dataclass(frozen=True, slots=True)
class _Split:
    """A person's posts for the classifier: learned, and kept from it."""

    learned: Sequence[str]
    unseen: Sequence[str]


def who_said_it(
    samples: Sequence[str],
    *,
    train: Sequence[str],
    heldout: Sequence[str],
    person: str,
    others: Mapping[str, Sequence[str]],
    seed: int,
) -> Authorship | None:
    """How often samples, and real posts that the classifier never saw, are taken for this person's.

    Posts are oldest first. Where fewer than ten are held out, the newest tenth of the training posts is kept from the
    classifier instead. None where there are too few posts of this person or of anybody else.
    """
    own = _Split(train[-MOST_POSTS:], heldout) if len(heldout) >= FEWEST_UNSEEN else _set_aside(train)
    ranked = sorted((name for name in others if name != person), key=lambda name: (-len(others[name]), name))
    strangers = {name: _set_aside(others[name]) for name in ranked[:MOST_OTHERS] if len(others[name]) >= FEWEST_POSTS}
    if not (samples and strangers and len(train) >= FEWEST_POSTS):
        return None
    scores = _learn([own.learned, *(split.learned for split in strangers.values())])
    real, said = scores(own.unseen), scores(samples)
    mistaken = scores([post for split in strangers.values() for post in split.unseen])
    return Authorship(
        personas=(person, *sorted(strangers)),
        real=rate(_named(real), seed),
        real_fives=_fives(real, seed),
        samples=rate(_named(said), seed),
        sample_fives=_fives(said, seed),
        mistaken=rate(_named(mistaken), seed),
    )


def _set_aside(posts: Sequence[str]) -> _Split:
    newest = posts[-MOST_POSTS:]
    aside = max(1, round(len(newest) * ASIDE))
    return _Split(newest[:-aside], newest[-aside:])


def _learn(people: Sequence[Sequence[str]]) -> Callable[[Sequence[str]], Floats]:
    """From each person's posts, what gives texts a score for each person: one row a text, the highest is the author."""
    # Here, because it takes a second to load, and most clones have nobody to be told apart from.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier

    posts = [_framed(post) for own in people for post in own]
    authors = np.repeat(np.arange(len(people)), [len(own) for own in people])
    ngrams = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 5), lowercase=False, sublinear_tf=True, min_df=2, dtype=np.float32
    )
    # Deterministic and fast; a linear SVM names as many right and takes three times as long.
    classifier = RidgeClassifier(class_weight="balanced", solver="sparse_cg")
    classifier.fit(ngrams.fit_transform(posts), authors)

    def scores(texts: Sequence[str]) -> Floats:
        found: Floats = classifier.decision_function(ngrams.transform(map(_framed, texts)))
        return np.column_stack([-found, found]) if found.ndim == 1 else found

    return scores


def _framed(text: str) -> str:
    """A text with its first and last character marked, so that even an empty one has something to go by."""
    return f"\x02 {text} \x03"


def _named(scores: Floats) -> NDArray[np.bool_]:
    """Which texts are taken for the first person's."""
    named: NDArray[np.bool_] = scores.argmax(axis=1) == 0
    return named


def _fives(scores: Floats, seed: int) -> Estimate:
    """The share of fives taken for the first person's, over random fives; the interval is over the texts in them."""
    count = len(scores)
    size = min(FIVE, count)
    groups = count // size

    def shares(numbers: NDArray[np.int64]) -> Floats:
        together = scores[numbers[:, : groups * size]].reshape(RESAMPLES * groups, size, -1).mean(axis=1)
        named: Floats = _named(together).reshape(RESAMPLES, groups).mean(axis=1)
        return named

    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(count), (RESAMPLES, 1)), axis=1)
    return rate_interval(float(shares(orders).mean()), shares(resamples(count, seed)), groups)
