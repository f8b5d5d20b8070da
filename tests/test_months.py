"""The bench of three months, made small enough to run with the tests."""

from __future__ import annotations

from pathlib import Path

from bench.months import Months, Tally, figures
from bench.months_plan import Verdict

KILLS = 4


def test_what_is_due_is_published_once_or_listed_with_its_reason(tmp_path: Path) -> None:
    months = Months(tmp_path, days=3, kills=KILLS, seed=5)
    verdict = months.run()
    assert verdict.published > 20
    assert all(figure.ok for figure in figures(months.tally, verdict, KILLS)), (months.tally, verdict)


def test_one_post_too_many_falls_short() -> None:
    verdict = Verdict(runs=10, published=11, doubled=1)
    assert [figure.ok for figure in figures(Tally(kills=200), verdict, 200)].count(False) == 1
