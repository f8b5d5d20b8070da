"""[schedule]: what schedules are where they do not say otherwise, and what they may be."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from bot.settings.section import Section
from bot.settings.zones import zone_named


class Schedule(Section):
    """What schedules are unless they say otherwise, and how many there may be."""

    zone: str = Field(default="", description="the zone of their times, such as Europe/Madrid; empty is timezone")
    target: str = Field(default="x", description="where posts go: x, discord:CHANNEL, webhook:ID or dry (nowhere)")
    misfire: Literal["skip", "once", "all"] = Field(
        default="skip", description="of runs that were missed: skip all, do one for all of them, or do all"
    )
    grace_minutes: int = Field(
        default=10, ge=1, le=1440, description="a run that begins later than this after its time was missed"
    )
    make_up_hours: int = Field(
        default=24, ge=1, le=720, description="a run that was missed longer ago is not made up for"
    )
    jitter_minutes: int = Field(default=0, ge=0, le=720, description="runs are up to so much later than they say")
    quiet_hours: str = Field(default="", description="when nothing is posted, such as 23:00-07:00")
    max_per_persona: int = Field(default=10, ge=1, le=1000, description="most schedules that a persona may have")
    min_minutes_apart: int = Field(default=10, ge=1, le=1440, description="least time between two runs of a schedule")

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            return zone_named(value).key if value else ""
        except ValueError:
            raise ValueError("empty, or a name of the IANA time zone database, such as 'Europe/Madrid'") from None

    @field_validator("quiet_hours")
    @classmethod
    def _are_hours(cls, value: str) -> str:
        at = r"([01]\d|2[0-3]):[0-5]\d"
        if value and (not re.fullmatch(f"{at}-{at}", value) or value[:5] == value[6:]):
            raise ValueError("empty, or two times of day such as 23:00-07:00")
        return value

    @field_validator("target")
    @classmethod
    def _is_target(cls, value: str) -> str:
        if not is_target(value):
            raise ValueError("x, dry, discord:CHANNEL or webhook:ID")
        return value


def is_target(value: str) -> bool:
    """Whether a post can be meant for it."""
    return re.fullmatch(r"x|dry|discord:\d{1,20}|webhook:[\w.-]{1,64}", value, re.ASCII) is not None
