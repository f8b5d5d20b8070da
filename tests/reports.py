"""A quality report with the figure that a test is about."""

from __future__ import annotations

from trainer.report import Estimate, QualityReport, SampleReport


def certain(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value)


def quality_report(copy_rate: float = 0.0) -> QualityReport:
    """Of a clone whose samples copy so much."""
    samples = SampleReport(
        samples=100,
        copy_rate=certain(copy_rate),
        nearest=(),
        distinct_1=certain(0.5),
        distinct_2=certain(0.9),
        distinct_3=certain(1.0),
        self_bleu=certain(0.2),
        style_distance=certain(0.1),
        style_distance_self=certain(0.1),
    )
    return QualityReport(heldout_posts=50, bits_per_byte_base=certain(2.5), bits_per_byte=certain(1.9), samples=samples)
