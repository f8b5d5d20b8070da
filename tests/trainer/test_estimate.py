"""How long a training says that it will take."""

from __future__ import annotations

import time

import pytest

from trainer.loop import Clock


def test_looks_samples_and_the_end_are_a_part_of_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = Clock(total=10, first=0, asides={5: 5.0, 10: 7.0})  # the last are the end
    now += 2.0
    assert clock.eta_s(2) == pytest.approx(8.0 + 5.0 + 7.0)  # a second a step, and the look after the fifth
    now += 3.0
    assert clock.eta_s(5) == pytest.approx(5.0 + 5.0 + 7.0)
    now += 6.0
    assert clock.eta_s(6) == pytest.approx(4.0 + 7.0)  # the look was no slower than it was thought to be
    now += 4.0
    assert clock.eta_s(10) == pytest.approx(7.0)


def test_a_training_that_goes_on_counts_from_where_it_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = Clock(total=10, first=6, asides={5: 5.0})
    now += 4.0
    assert clock.eta_s(8) == pytest.approx(4.0)
