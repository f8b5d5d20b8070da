"""What the trainer reports, as figures under the names that W&B's charts carry."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from trainer.protocol import AnyEvent, Compared, Drifted, Evaluated, Judged, Step
from trainer.report import Estimate


def figures(event: AnyEvent) -> dict[str, float]:
    """Name → value; empty for an event without figures."""
    match event:
        case Step():
            return {"loss": event.loss, "learning_rate": event.learning_rate, "tokens_per_s": event.tokens_per_s}
        case Evaluated(stage="during"):
            return {"eval/bits_per_byte": event.bits_per_byte}
        case Evaluated():
            return {f"heldout/bits_per_byte_{event.stage}": event.bits_per_byte}
        case Compared():
            return {
                "heldout/bits_per_byte_compared": event.bits_per_byte,
                "heldout/bits_per_byte_previous": event.bits_per_byte_previous,
            }
        case Judged():
            return dict(_figures_in(event.report, "quality"))
        case Drifted():
            return dict(_figures_in(event.report, "drift"))
        case _:
            return {}


def _figures_in(report: BaseModel, name: str) -> Iterator[tuple[str, float]]:
    """Every number in a report and the reports within, an estimate with its interval; never a text."""
    for field, value in report:
        path = f"{name}/{field}"
        if isinstance(value, Estimate):
            yield path, value.value
            yield f"{path}_low", value.low
            yield f"{path}_high", value.high
        elif isinstance(value, BaseModel):
            yield from _figures_in(value, path)
        elif isinstance(value, (int, float)):
            yield path, value
