"""What the trainer says to the tracking process: the job first, then one of these a line, as JSON. Types only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from trainer.protocol import AnyEvent, Counted, Started


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Preprocessed(_Line):
    """Posts became a corpus."""

    line: Literal["preprocessed"] = "preprocessed"
    posts: Path
    corpus: Path
    counted: Counted


class Begun(_Line):
    """The training begins, or goes on."""

    line: Literal["begun"] = "begun"
    started: Started
    architecture: dict[str, JsonValue]
    """The model's own configuration."""


class Told(_Line):
    """Something that the trainer reports as it goes."""

    line: Literal["told"] = "told"
    event: AnyEvent = Field(discriminator="event")


class Result(_Line):
    """The finished weights lie in a folder."""

    line: Literal["result"] = "result"
    folder: Path


class End(_Line):
    """Nothing follows. Without it, the trainer was cut off and may go on later."""

    line: Literal["end"] = "end"
    failed: bool


AnyLine = Preprocessed | Begun | Told | Result | End

LINE: TypeAdapter[AnyLine] = TypeAdapter(Annotated[AnyLine, Field(discriminator="line")])
