"""What may leave by itself, and who looks at it first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from bot.settings import toxic_lists
from bot.settings.section import Section


class Guard(Section):
    """What a post that leaves may hold; where anything cannot be checked, nothing leaves."""

    mentions: bool = Field(default=False, description="posts may name accounts, such as @ada")
    hashtags: bool = Field(default=False, description="posts may have hashtags")
    links: bool = Field(default=False, description="posts may have links; on X such a post costs 13 times another")
    blocked_words: str = Field(default="", description="a file of words no post may have, one a line; relative to this")
    toxic_words: str = Field(default="en", description="languages whose toxic words are refused, such as en,es")
    candidates: int = Field(default=8, ge=1, le=50, description="texts written for a post, of which the best is taken")
    rounds: int = Field(default=4, ge=1, le=20, description="times that others are written where none may leave")
    approval: Literal["auto", "review"] = Field(
        default="auto", description="review has a person approve every post, where /persona mode says nothing else"
    )
    draft_hours: float = Field(default=72.0, gt=0, le=8760, description="hours after which a draft is given up")

    @field_validator("toxic_words")
    @classmethod
    def _has_lists(cls, value: str) -> str:
        known = toxic_lists.files()
        if known and not set(toxic_lists.named(value)) <= known.keys():
            raise ValueError(f"empty, or languages with commas between them, of {', '.join(known)}")
        return value
