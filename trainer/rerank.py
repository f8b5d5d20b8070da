"""Learn from approvals and rejections which of several texts a person would take: a logistic regression on figures.

It is held to choices that it has not seen: each choice is predicted by a model that was fitted on the other folds.
Better than chance it is only where even the low end of its accuracy's interval is above what always saying the commoner
answer would have reached.
"""

from __future__ import annotations

import json

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from trainer.protocol import JobFailed, Ranked, RerankJob
from trainer.quality.bootstrap import rate
from trainer.report import RerankReport
from trainer.stream import Emit

FOLDS = 5


def rerank(job: RerankJob, emit: Emit) -> None:
    """Emit one `ranked`.

    Raises:
        JobFailed: kind `bad_job` where there are fewer than five choices of either kind, or figures are missing.
    """
    rows = [json.loads(line) for line in job.choices.read_text(encoding="utf-8").splitlines()]
    figures = np.array([row["features"] for row in rows if len(row["features"]) == len(job.names)], dtype=np.float64)
    chosen = np.array([row["chosen"] for row in rows if len(row["features"]) == len(job.names)], dtype=bool)
    if min(chosen.sum(), (~chosen).sum()) < FOLDS:
        raise JobFailed("bad_job", "There are too few choices to learn from.", "Approve and reject more drafts.")
    emit(Ranked(report=_learn(figures, chosen, job)))


def _learn(figures: np.ndarray, chosen: np.ndarray, job: RerankJob) -> RerankReport:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=job.seed)
    right = cross_val_predict(_model(), figures, chosen, cv=folds) == chosen
    accuracy = rate(right, job.seed)
    chance = float(max(chosen.mean(), 1 - chosen.mean()))
    scaler, regression = (step for _, step in _model().fit(figures, chosen).steps)
    return RerankReport(
        names=job.names,
        mean=tuple(map(float, scaler.mean_)),
        scale=tuple(map(float, scaler.scale_)),
        weights=tuple(map(float, regression.coef_[0])),
        intercept=float(regression.intercept_[0]),
        choices=len(chosen),
        accuracy=accuracy,
        chance=chance,
        used=accuracy.low > chance,
    )


def _model() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=1_000))
