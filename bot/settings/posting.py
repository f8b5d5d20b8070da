"""How decided posts leave."""

from __future__ import annotations

from pydantic import Field

from bot.settings.section import Section


class Posting(Section):
    """Posts on their way to a platform."""

    late_hours: float = Field(
        default=6.0, gt=0, le=720, description="hours after which a due post that could not be sent is skipped"
    )
