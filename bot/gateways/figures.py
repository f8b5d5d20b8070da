"""What was measured, as people read it on a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from bot.commands import Version
from bot.evaluating import Evaluated
from bot.gateways.printable import printable
from trainer.protocol import AnyEvent, Compared, Drifted, Judged
from trainer.report import DriftReport, Estimate, QualityReport

_LENGTH = ("characters", "words")
"""What says how long posts are: told first, once, however little it changed."""


def of_event(event: AnyEvent) -> list[str]:
    """The figures that an event holds."""
    match event:
        case Compared():
            return [
                f"on {event.posts} posts that neither saw, the version before has "
                f"{event.bits_per_byte_previous:.3f} bits per byte and this one {event.bits_per_byte:.3f}"
            ]
        case Judged():
            return quality_lines(event.report)
        case Drifted():
            return drift_lines(event.report)
    return []


def quality_lines(report: QualityReport) -> list[str]:
    """The figures that matter, one a line."""
    lines: list[str] = []
    if report.bits_per_byte and report.bits_per_byte_base:
        lines.append(
            f"bits per byte on {report.heldout_posts} held-out posts: "
            f"base {_estimate(report.bits_per_byte_base, '.3f')}, clone {_estimate(report.bits_per_byte, '.3f')}"
        )
    judged = report.samples
    if judged is None:
        return lines
    lines += [
        f"copied from posts it learned from: {_estimate(judged.copy_rate, '.1%')} of {judged.samples} samples",
        f"different words and pairs of words: {judged.distinct_1.value:.2f}, {judged.distinct_2.value:.2f}; "
        f"likeness to each other (self-BLEU): {judged.self_bleu.value:.2f}",
        f"distance from the person's style: {_estimate(judged.style_distance, '.3f')}; "
        f"between halves of their own posts: {_estimate(judged.style_distance_self, '.3f')}",
    ]
    who = judged.authorship
    if who is not None:
        lines.append(
            f"who said it, among {len(who.personas)}: {who.samples.value:.0%} of samples and {who.real.value:.0%} of "
            f"real posts are named right; by fives {who.sample_fives.value:.0%} and {who.real_fives.value:.0%}"
        )
    return lines


def drift_lines(report: DriftReport) -> list[str]:
    """What changed in somebody's posts: how long they are, and the largest effects."""
    largest = [change for change in report.changes if change.name not in _LENGTH][:4]
    told = [*(change for change in report.changes if change.name == _LENGTH[0]), *largest]
    changes = "; ".join(f"{change.name} {change.before:.3g} → {change.now:.3g}" for change in told)
    words = [
        f"{more_or_less} of: {', '.join(map(printable, found[:8]))}"
        for more_or_less, found in (("more", report.rising), ("less", report.fading))
        if found
    ]
    return [
        f"{report.new_posts:,} new posts, held-out ones among them, beside {report.old_posts:,} old ones: "
        f"style distance {report.style_distance.value:.3f} "
        f"({report.style_distance_self.value:.3f} among the old ones); {changes}",
        *(["; ".join(words)] if words else []),
    ]


def evaluation(evaluated: Evaluated) -> list[str]:
    """`/evaluate`'s answer."""
    return [
        f"@{evaluated.handle}, version {evaluated.version}:",
        *(f"  {line}" for line in quality_lines(evaluated.report)),
    ]


def versions_table(versions: Sequence[Version]) -> list[str]:
    """A persona's versions, newest first."""
    lines = [f"{'version':>7}   {'state':<11}{'recipe':<15}{'bits per byte':<15}{'copied':>12}  made"]
    for listed in versions:
        clone, measured = listed.clone, listed.evaluation.measured if listed.evaluation else None
        before, after = clone.bits_per_byte_before, clone.bits_per_byte_after
        quality = f"{before:.2f} → {after:.2f}" if before and after else "–"
        copied = (
            f"{measured.copy_rate:.0%} of {measured.samples:,}" if measured and measured.copy_rate is not None else "–"
        )
        mark = "*" if listed.speaks else " "
        lines.append(
            f"{clone.version:>7}{mark}  {clone.state:<11}{clone.recipe:<15}{quality:<15}{copied:>12}  "
            f"{clone.created_at:%Y-%m-%d %H:%M}"
        )
        if why := clone.verdict or clone.error_message:
            lines.append(f"           {printable(why)}")
    if any(listed.speaks for listed in versions):
        lines.append("* speaks for its persona; /rollback @handle version=N lets another one speak")
    return lines


def _estimate(estimate: Estimate, form: str) -> str:
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"
