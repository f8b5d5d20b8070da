"""`[discord]`: the gateway that Discord's members meet."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from bot.settings.section import Section
from bot.settings.urls import is_base_url


def _listed(value: object) -> object:
    """The environment has no lists: there, ids have commas between them."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_LONGEST_PREFIX = 8
Ids = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Discord(Section):
    """Discord, where DISCORD_TOKEN is set. Ids are of roles or of people, as text; an empty list is everybody."""

    base_url: str = Field(default="", description="its API, such as http://127.0.0.1:8080/api/v10; empty is Discord's")
    prefix: str = Field(
        default="!", min_length=1, max_length=_LONGEST_PREFIX, description="commands by message, where it may read"
    )
    server_prefixes: Ids = Field(
        default=(), description="where a server wants another: its id and the prefix, as in '80351110224678912 ?'"
    )
    message_content: bool = Field(
        default=False, description="true only after switching the privileged intent on in the developer portal"
    )
    owner: str = Field(default="", description="your id: you are told of reloads and stops, in the channel below")
    owner_channel: str = Field(default="", description="the id of a channel for what the owner should know")
    drafts_channel: str = Field(default="", description="the id of a channel in which drafts wait for approval")
    trial_guild: str = Field(default="", description="the id of a server whose commands are synced at once, for trying")
    may_administrate: Ids = Field(
        default=(), description="who may use /admin, /outbox, /forget and /rollback besides the owner"
    )
    may_clone: Ids = Field(default=(), description="who may clone, blend and refresh")
    may_schedule: Ids = Field(
        default=(), description="who may schedule posts and decide on drafts; empty is who manages the server"
    )
    may_speak: Ids = Field(default=(), description="who may have personas speak")
    clones_a_day: int = Field(default=3, ge=0, le=1000, description="clones that one person may ask for in 24 hours")
    server_clones_a_day: int = Field(default=20, ge=0, le=1000, description="and one server")
    user_seconds: float = Field(
        default=3.0, ge=0, le=3600, description="least seconds in which a person has a voice or a trainer work again"
    )
    server_uses_a_minute: int = Field(
        default=30, ge=1, le=10_000, description="and how often a server has them work in a minute"
    )
    upload_mb: int = Field(default=25, ge=1, le=500, description="largest attachment that is read, in megabytes")

    @field_validator("base_url")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        if value and not is_base_url(value):
            raise ValueError("empty, or an address such as http://127.0.0.1:8080/api/v10")
        return value.rstrip("/")

    @field_validator("server_prefixes")
    @classmethod
    def _are_prefixes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            id, _, prefix = entry.partition(" ")
            if not id.isdecimal() or not 1 <= len(prefix.strip()) <= _LONGEST_PREFIX:
                raise ValueError("each is a server's id, a space, and a prefix, such as '80351110224678912 ?'")
        return value

    def prefix_in(self, guild_id: int | None) -> str:
        """What commands by message begin with in a server; None is a direct message."""
        others = {id: prefix.strip() for id, _, prefix in (entry.partition(" ") for entry in self.server_prefixes)}
        return others.get(str(guild_id), self.prefix)

    @field_validator("owner", "owner_channel", "drafts_channel", "trial_guild")
    @classmethod
    def _is_id(cls, value: str) -> str:
        if value and not value.isdecimal():
            raise ValueError("empty, or an id, which Discord's developer mode copies, such as '80351110224678912'")
        return value
