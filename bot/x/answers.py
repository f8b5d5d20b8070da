"""What X answers to reading, in the older dialect of field names and in the newer, checked as it comes in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from aiohttp import ClientResponse
from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from bot.x.errors import Problem, Unreadable
from storage.posts import Kind

_KINDS: tuple[tuple[str, Kind], ...] = (("retweeted", "repost"), ("replied_to", "reply"), ("quoted", "quote"))

Answer = TypeVar("Answer", bound=BaseModel)


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _Reference(_Wire):
    type: str
    id: str


class _Note(_Wire):
    text: str


class WirePost(_Wire):
    id: str = Field(pattern=r"^\d{1,20}$")
    text: str
    created_at: AwareDatetime | None = None
    note: _Note | None = Field(None, validation_alias=AliasChoices("note_tweet", "note_post"))
    references: tuple[_Reference, ...] = Field(
        (), validation_alias=AliasChoices("referenced_tweets", "referenced_posts")
    )
    in_reply_to_user_id: str | None = None
    author_id: str | None = None
    conversation_id: str | None = None
    """The id of the post that began its thread."""

    @property
    def published_at(self) -> datetime | None:
        return None if self.created_at is None else self.created_at.astimezone(UTC)

    @property
    def kind(self) -> Kind:
        types = {reference.type for reference in self.references}
        if self.text.startswith("RT @"):
            return "repost"
        return next((kind for type, kind in _KINDS if type in types), "post")

    @property
    def parent_id(self) -> str | None:
        return next((reference.id for reference in self.references if reference.type == "replied_to"), None)

    @property
    def whole_text(self) -> str:
        return self.note.text if self.note and self.note.text.strip() else self.text


class _Meta(_Wire):
    next_token: str | None = None


class TimelineAnswer(_Wire):
    data: tuple[WirePost, ...] = ()
    meta: _Meta = _Meta()
    errors: tuple[Problem, ...] = ()


class _Metrics(_Wire):
    tweet_count: int | None = Field(default=None, validation_alias=AliasChoices("tweet_count", "post_count"))


class WireUser(_Wire):
    id: str = Field(pattern=r"^\d{1,20}$")
    name: str = ""
    username: str = Field(pattern=r"^\w{1,64}$")
    protected: bool = False
    metrics: _Metrics = Field(_Metrics(), validation_alias="public_metrics")


class UserAnswer(_Wire):
    data: WireUser | None = None
    errors: tuple[Problem, ...] = ()


async def read_answer(model: type[Answer], answer: ClientResponse) -> Answer:
    """An answer's content. Raises Unreadable for what is none."""
    try:
        return model.model_validate_json(await answer.text("utf-8", "replace"))
    except ValidationError as error:
        raise Unreadable("X's answer is not what its documentation promises.", "Try again later.") from error
