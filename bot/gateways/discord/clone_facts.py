"""A clone's page from what the database holds: after a restart, at its end, and where it stands in line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlite_utils import Database

from bot.gateways.discord.clone_page import SAMPLES_AT_THE_END, ClonePage
from storage import clones, discord, evaluations, learning, personas
from storage.errors import StorageError
from storage.ids import utc_time
from trainer.quality.words import only_names
from trainer.report import QualityReport

_TIMED = 5
"""How many finished clones tell how long one takes."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where the clones in line stand, and how long one took lately, in seconds."""

    places: dict[str, int]
    typical_s: float | None
    """None where none was made here yet."""
    since: datetime | None
    """When the one being made was begun."""

    def put(self, page: ClonePage, left_s: float | None) -> None:
        """Say on its page how long a clone waits; `left_s` is what the one being made still takes, if that is known."""
        others = self.places.get(page.clone.id, 0)
        page.ahead = others + (1 if self.since else 0)
        page.begins_at = None
        one_s = self._one_s(left_s)
        if page.ahead and one_s is not None:
            now = (left_s if left_s is not None else one_s) if self.since else 0.0
            page.begins_at = datetime.now(UTC) + timedelta(seconds=now + one_s * others)

    def _one_s(self, left_s: float | None) -> float | None:
        """How long one takes: as long as those before, or else as the first one will have taken."""
        if self.typical_s is None and self.since is not None and left_s is not None:
            return (datetime.now(UTC) - self.since).total_seconds() + left_s
        return self.typical_s


def load_page(db: Database, clone_id: str) -> ClonePage | None:
    """None where the clone was deleted."""
    try:
        clone = clones.get(db, clone_id)
    except StorageError:
        return None
    unsaid = discord.blocked_words(db, clone.persona_id)
    page = ClonePage(clone, personas.get(db, clone.persona_id).handle, unsaid=unsaid)
    said = learning.samples(db, clone_id)
    last = max((sample.step for sample in said), default=0)
    if clone.state == "ready":
        ended = [sample for sample in said if sample.step == last]
        plain = [sample.text for sample in ended if not sample.prompt]
        prompted = [sample.text for sample in ended if sample.prompt]
        # After the first, which was practice, those without a prompt were judged, and copy nothing.
        page.samples = sorted([*plain[1:], *plain[:1], *prompted], key=only_names)[:SAMPLES_AT_THE_END]
    else:
        page.samples = [sample.text for sample in said[-3:]]
    if clone.counts is not None and clone.counts.warning:
        page.warnings = [clone.counts.warning]
    return page


def line(db: Database) -> Line:
    """The queue as it is now."""
    rows = db.execute(
        "select started_at, finished_at from clones where state = 'ready' and started_at is not null"
        " and device is not null order by finished_at desc limit ?",  # those that were trained here
        [_TIMED],
    ).fetchall()
    took = [(utc_time(finished) - utc_time(started)).total_seconds() for started, finished in rows]
    return Line(
        {clone.id: place for place, clone in enumerate(clones.in_line(db))},
        sum(took) / len(took) if took else None,
        next((clone.started_at for clone in clones.active(db) if clone.state != "queued"), None),
    )


def figures(db: Database, clone_id: str) -> list[str]:
    """How good a finished clone is, in lines for everybody."""
    clone = clones.get(db, clone_id)
    lines = []
    if clone.bits_per_byte_before is not None and clone.bits_per_byte_after is not None:
        lines.append(
            f"It predicts their new posts better: {clone.bits_per_byte_before:.2f} → "
            f"{clone.bits_per_byte_after:.2f} bits per byte."
            if clone.bits_per_byte_after < clone.bits_per_byte_before
            else f"{clone.bits_per_byte_before:.2f} → {clone.bits_per_byte_after:.2f} bits per byte on new posts."
        )
    evaluation = evaluations.newest(db, clone_id)
    report = QualityReport.model_validate_json(evaluation.measured.report_json) if evaluation else None
    if report is not None and report.samples is not None:
        judged = report.samples
        lines.append(f"{judged.copy_rate.value:.0%} of {judged.samples} samples repeat posts that it learned from.")
    return lines
