"""The bench that kills, made small enough to run with the tests."""

from __future__ import annotations

from pathlib import Path

from bench.kills import Outcome, figures, torment

KILLS = 2


def test_nothing_that_was_accepted_is_lost_to_kill_9(tmp_path: Path) -> None:
    outcome = torment(tmp_path, kills=KILLS, post_count=80, seed=5, is_warm=True)
    assert outcome == Outcome(kills=3 * KILLS, resumed=outcome.resumed)
    assert all(figure.ok for figure in figures(outcome, KILLS))


def test_one_lost_clone_falls_short() -> None:
    assert [figure.ok for figure in figures(Outcome(kills=59, lost=1), 20)][:2] == [False, False]
