"""How sure a figure is: 95 % intervals by the percentile bootstrap.

Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13: what was observed is drawn again with
replacement, the figure computed anew, and the middle 95 % of the results is the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainer.report import Estimate

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], float]

RESAMPLES = 1000
PART, PARTS = 5 / 8, 200
"""Fewer, because what is computed of them is slow."""
CONFIDENCE = 0.95


def mean(rows: Floats) -> float:
    return float(rows.mean())


def ratio(rows: Floats) -> float:
    """Of rows of two, the sum of the first by the sum of the second, such as bits by bytes; 0 where that is 0."""
    above, below = rows.sum(axis=0)
    return float(above / below) if below else 0.0


def estimate(values: ArrayLike, seed: int, statistic: Statistic = mean) -> Estimate:
    """A statistic of independent observations, one a row, and its interval.

    Raises:
        ValueError: there are no observations.
    """
    rows = np.asarray(values, dtype=np.float64)
    if not len(rows):
        raise ValueError("Nothing was observed, so nothing can be estimated.")
    return interval(statistic(rows), [statistic(rows[drawn]) for drawn in resamples(len(rows), seed)])


def rate(hits: ArrayLike, seed: int) -> Estimate:
    """The share of hits; its interval is `rate_interval`'s.

    Raises:
        ValueError: there are no trials.
    """
    outcomes = np.asarray(hits, dtype=np.float64)
    if not len(outcomes):
        raise ValueError("Nothing was tried, so there is no rate.")
    return rate_interval(mean(outcomes), outcomes[resamples(len(outcomes), seed)].mean(axis=1), len(outcomes))


def rate_interval(value: float, draws: ArrayLike, trials: int) -> Estimate:
    """A share and the interval of its draws, with an honest end where (nearly) every trial had the same outcome.

    Resampling none out of n gives none for ever, as if 0 were certain. There the far end is the largest rate that
    would leave n trials without a hit once in twenty times, 1 - 0.05^(1/n): what the rule of three, 3/n, approximates
    (Hanley & Lippman-Hand 1983, "If nothing goes wrong, is everything all right?", JAMA 249:13). All of n likewise.
    """
    found = interval(value, draws)
    unseen = 1 - (1 - CONFIDENCE) ** (1 / max(1, trials))
    return Estimate(
        value=value,
        low=1 - unseen if found.low >= 1.0 else found.low,
        high=unseen if found.high <= 0.0 else found.high,
    )


def share_of_set(statistic: Callable[[Sequence[int]], float], count: int, seed: int) -> Estimate:
    """A share from 0 to 1 that a set has as a whole, such as how much of it is repetition, and its interval.

    A resample with replacement would hold items twice, and be more repetitive than any real set. So parts are drawn
    without, and their scatter about their mean, scaled by the square root of kept by dropped, is the interval's (the
    delete-d jackknife; Shao & Wu 1989, "A general theory for jackknife variance estimation", Annals of Statistics
    17:3). Five eighths is the part for which that is right both for what single items add and for what pairs share.

    Args:
        statistic: of the items of these numbers.
        count: of all items.
        seed: of the parts.
    """
    value = statistic(range(count))
    draw = np.random.default_rng(seed)
    kept = max(1, round(count * PART))
    parts = np.array([statistic(draw.permutation(count)[:kept].tolist()) for _ in range(PARTS)])
    scale = math.sqrt(PART / (1 - PART))
    return interval(value, np.clip(value + scale * (parts - parts.mean()), 0.0, 1.0))


def interval(value: float, draws: ArrayLike) -> Estimate:
    """The middle 95 % of resampled figures, as wide as it takes to hold the figure itself."""
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


def resamples(count: int, seed: int) -> NDArray[np.int64]:
    """Row numbers, drawn with replacement: one resample a row."""
    return np.random.default_rng(seed).integers(0, count, size=(RESAMPLES, count))
