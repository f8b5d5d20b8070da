"""What crosses the pipe between the bot and a voice worker: one JSON object a line, each way.

A request has an id and its answers repeat it; they come in any order. `cancel` has no answer of its own: the request
that it names is answered with a failure, which nobody may be waiting for.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.voice.base import Speaker, TextScore
from trainer.recipes import Sampling

EngineName = Literal["llamacpp", "plain"]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int


class Speak(_Line):
    do: Literal["speak"] = "speak"
    speaker: Speaker
    prompt: str
    count: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**32)
    sampling: Sampling
    context: tuple[str, ...] = ()


class Score(_Line):
    do: Literal["score"] = "score"
    speaker: Speaker
    texts: list[str]


class Load(_Line):
    do: Literal["load"] = "load"
    speaker: Speaker


class Cancel(_Line):
    do: Literal["cancel"] = "cancel"


class Failure(BaseModel):
    """Why there is no answer. `unsupported`: another engine may take the speaker. `internal`: a fault of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["unsupported", "refused", "cancelled", "internal"]
    message: str
    hint: str = ""


class Answer(_Line):
    """With `more`, its texts are the next ones of those that the last answer repeats, all of them."""

    more: bool = False
    texts: list[str] = []
    scores: list[TextScore] = []
    failure: Failure | None = None


Question = Speak | Score | Load
Request = Annotated[Speak | Score | Load | Cancel, Field(discriminator="do")]

REQUEST: TypeAdapter[Speak | Score | Load | Cancel] = TypeAdapter(Request)


def to_line(message: BaseModel) -> bytes:
    """One message as it is written."""
    return message.model_dump_json().encode() + b"\n"
