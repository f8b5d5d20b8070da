"""How personas speak where people talk."""

from __future__ import annotations

from pydantic import Field

from bot.settings.section import Section


class Speaking(Section):
    """How personas speak on Discord."""

    webhooks: bool = Field(
        default=True, description="personas speak under their own name and picture; false has the bot speak for them"
    )
    context_messages: int = Field(
        default=4, ge=0, le=20, description="messages before that a persona hears when it is talked to; kept nowhere"
    )
    turns_a_minute: int = Field(default=6, ge=1, le=60, description="most replies of personas in a channel in a minute")
    turns_an_hour: int = Field(
        default=60, ge=1, le=3600, description="most replies of personas in a channel in an hour"
    )
    chime_minutes: float = Field(
        default=15.0, ge=0, le=10_000, description="least minutes between two unasked messages in a channel"
    )
    most_messages: int = Field(
        default=2, ge=1, le=5, description="messages of 2000 characters that a long text is split into; the rest is cut"
    )
