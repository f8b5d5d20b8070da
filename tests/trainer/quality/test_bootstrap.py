"""How sure a figure is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.quality.bootstrap import estimate, rate, ratio, share_of_set
from trainer.report import Estimate

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(values=numbers, seed=st.integers(0, 2**32))
def test_interval_holds_its_value(values: list[float], seed: int) -> None:
    found = estimate(values, seed)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(np.mean(values))


@given(values=numbers, seed=st.integers(0, 2**32))
def test_same_seed_gives_the_same_interval(values: list[float], seed: int) -> None:
    assert estimate(values, seed) == estimate(values, seed)


def test_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    found = estimate(values, 1)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_intervals_hold_the_truth_about_19_times_in_20() -> None:
    draw = np.random.default_rng(1)
    found = [estimate(draw.exponential(1, 60), seed) for seed in range(200)]
    assert 0.88 <= np.mean([each.low <= 1 <= each.high for each in found]) <= 0.99


def test_ratio_is_of_sums_and_not_a_mean_of_ratios() -> None:
    assert estimate([(1, 10), (30, 30)], 1, ratio).value == pytest.approx(31 / 40)


def test_rate_without_a_hit_is_not_certain() -> None:
    found = rate([False] * 100, 1)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(0.03, abs=0.001)  # the rule of three


def test_rate_of_nothing_but_hits_is_not_certain() -> None:
    found = rate([True] * 100, 1)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.97, abs=0.001)


@given(hits=st.lists(st.booleans(), min_size=1, max_size=50))
def test_rate_and_its_interval_are_shares(hits: list[bool]) -> None:
    found = rate(hits, 1)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_share_of_a_set_has_the_scatter_of_fresh_sets() -> None:
    def different(items: list[int]) -> Estimate:
        return share_of_set(lambda numbers: len({items[n] for n in numbers}) / len(numbers), len(items), 1)

    draw = np.random.default_rng(1)
    found = [different(draw.integers(0, 300, 100).tolist()) for _ in range(60)]
    width = np.mean([each.high - each.low for each in found]) / (2 * 1.96)
    assert width == pytest.approx(np.std([each.value for each in found]), rel=0.25)


def test_nothing_observed_is_refused() -> None:
    with pytest.raises(ValueError, match="Nothing was observed"):
        estimate([], 1)
    with pytest.raises(ValueError, match="Nothing was tried"):
        rate([], 1)
