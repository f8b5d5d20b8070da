"""Does a set of posts look as if the same hand wrote it?

Two sets are compared by the energy distance between their posts' features (Székely & Rizzo 2013, "Energy statistics",
J. Statistical Planning and Inference 143:8): 2 E|X-Y| - E|X-X'| - E|Y-Y'|, which is 0 only where both have the same
distribution. Reported is its share of 2 E|X-Y|, their coefficient of inhomogeneity: 0 for the same style, 1 for
nothing in common. Posts are never compared with themselves, so that small sets do not look farther apart than large
ones; what falls below 0 by chance is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.quality.bootstrap import RESAMPLES, Floats, interval
from trainer.quality.features import features
from trainer.report import Estimate

MOST_POSTS = 200
"""Of either set; more change the figure little and take long."""
FEWEST_POSTS = 2
_NOTHING = 1e-9


def comparable(*counts: int) -> int:
    """How many posts of each set are compared: the same number, so that all distances are equally sure."""
    return min(MOST_POSTS, *counts)


def style_distance(a: Sequence[str], b: Sequence[str], seed: int, size: int = MOST_POSTS) -> Estimate:
    """How far two sets of posts are apart in style, 0 to 1; equally many are drawn of each, at most `size`.

    Raises:
        ValueError: there are fewer than two posts in one of them.
    """
    draw = np.random.default_rng(seed)
    size = min(size, comparable(len(a), len(b)))
    distances = _distances([*_some(a, size, draw), *_some(b, size, draw)], size)
    even = np.full(size, 1 / size)
    weights_a, weights_b = (draw.multinomial(size, even, RESAMPLES) / size for _ in range(2))
    value = _inhomogeneity(distances, _left(even[None]), _right(even[None]))[0]
    return _positive(value, _inhomogeneity(distances, _left(weights_a), _right(weights_b)))


def style_distance_self(posts: Sequence[str], seed: int, size: int = MOST_POSTS) -> Estimate:
    """The same between two random handfuls of one set, `size` posts each at most: the mean is about 0.

    The interval is the one to look at. A distance below its high end is no more than chance makes.

    Raises:
        ValueError: there are fewer than four posts.
    """
    draw = np.random.default_rng(seed)
    size = min(size, comparable(len(posts) // 2))
    distances = _distances(_some(posts, 2 * size, draw), size)
    halves = np.repeat([1 / size, 0.0], size)
    weights = draw.permuted(np.tile(halves, (RESAMPLES, 1)), axis=1)
    draws = _inhomogeneity(distances, weights, 1 / size - weights)
    return _positive(float(draws.mean()), draws)


def _some(posts: Sequence[str], count: int, draw: np.random.Generator) -> list[str]:
    return [posts[number] for number in draw.permutation(len(posts))[:count]]


def _distances(posts: Sequence[str], size: int) -> Floats:
    """Euclidean distances between posts, each feature's logarithm in standard deviations of all of them."""
    if size < FEWEST_POSTS:
        raise ValueError("Style cannot be told from fewer than two posts.")
    rows = np.log1p(features(posts))
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > _NOTHING, spread, 1.0)
    lengths = (rows**2).sum(axis=1)
    squares = lengths[:, None] + lengths[None] - 2 * rows @ rows.T
    np.fill_diagonal(squares, 0.0)
    distances: Floats = np.sqrt(np.maximum(squares, 0.0))
    return distances


def _left(weights: Floats) -> Floats:
    return np.hstack([weights, np.zeros_like(weights)])


def _right(weights: Floats) -> Floats:
    return np.hstack([np.zeros_like(weights), weights])


def _inhomogeneity(distances: Floats, a: Floats, b: Floats) -> Floats:
    """One coefficient a row of weights, which say how much each post counts in set a and in set b."""
    between = 2 * ((a @ distances) * b).sum(axis=1)
    energy = between - _within(distances, a) - _within(distances, b)
    return _quotient(energy, between)


def _within(distances: Floats, weights: Floats) -> Floats:
    """Mean distance between two different posts; a post drawn twice is not compared with itself."""
    total = ((weights @ distances) * weights).sum(axis=1)
    return _quotient(total, 1 - (weights**2).sum(axis=1))


def _quotient(above: Floats, below: Floats) -> Floats:
    """0 where there is nothing to divide by: where all posts are the same one."""
    quotient: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > _NOTHING)
    return quotient


def _positive(value: float, draws: Floats) -> Estimate:
    return interval(max(0.0, float(value)), np.maximum(draws, 0.0))
