"""Whose voice may be learned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from bot.settings.section import Section
from storage.errors import StorageError
from storage.personas import normalise_handle


class Consent(Section):
    """Whose voice may be learned, apart from those who hand over their own archive."""

    handles: Literal["own", "allow-list", "any"] = Field(
        default="own", description="public accounts that may be collected: the connected one, those allowed, or any"
    )
    allowed: str = Field(default="", description="handles for handles = allow-list, with spaces between them")
    direct_messages: bool = Field(
        default=False, description="learn from the direct messages in a Discord data package, too"
    )

    @field_validator("allowed")
    @classmethod
    def _are_handles(cls, value: str) -> str:
        try:
            return " ".join(normalise_handle(each) for each in value.split())
        except StorageError:
            raise ValueError("handles with spaces between them, such as 'ada grace@example.social'") from None
