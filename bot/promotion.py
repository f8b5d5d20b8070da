"""Whether a new version speaks in place of the one before: if it predicts held-out posts no worse, and copies little.

A persona's first version always speaks: there is nobody to speak in its place, and what leaves is checked again.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.clones import Clone
from trainer.protocol import Compared
from trainer.report import QualityReport


@dataclass(frozen=True, slots=True)
class Verdict:
    promoted: bool
    reason: str
    """A sentence for the person."""


def judge(
    current: Clone | None, compared: Compared | None, report: QualityReport | None, max_copy_rate: float
) -> Verdict:
    """Hold a finished version against the one that speaks now."""
    copies = report.samples.copy_rate.value if report and report.samples else 0.0
    too_many = f"{copies:.0%} of its samples repeat posts that it learned from ({max_copy_rate:.0%} is the limit)"
    if current is None:
        return Verdict(True, f"The first version; mind that {too_many}." if copies > max_copy_rate else "")
    stays = f"version {current.version} goes on speaking"
    if copies > max_copy_rate:
        return Verdict(False, f"{too_many}: {stays}.")
    if compared is None:
        return Verdict(False, f"It cannot be compared, for want of posts that both versions never saw: {stays}.")
    figures = (
        f"{compared.bits_per_byte:.3f} bits per byte after {compared.bits_per_byte_previous:.3f}, "
        f"on {compared.posts} posts that neither saw"
    )
    if compared.bits_per_byte > compared.bits_per_byte_previous:
        return Verdict(False, f"It predicts worse ({figures}): {stays}.")
    return Verdict(True, f"It predicts no worse than version {current.version}: {figures}.")
