"""Buttons that answer after any number of restarts, since their ids say what they are about; and those of before."""

from __future__ import annotations

import contextlib
import re
from typing import ClassVar

import discord

_STALE = "That button is of a Mynah of before, and does nothing any more. /models lists who is here."


class Button(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"(?!)"):
    """Each kind is a subclass, whose `template` matches its ids and no other's."""

    _templates: ClassVar[list[re.Pattern[str]]] = []

    def __init_subclass__(cls, *, template: str) -> None:
        super().__init_subclass__(template=template)
        Button._templates.append(re.compile(template))

    @staticmethod
    def knows(custom_id: str) -> bool:
        """Whether one of our buttons has such an id."""
        return any(template.fullmatch(custom_id) for template in Button._templates)


async def answer_stale(interaction: discord.Interaction) -> None:
    """A button that nobody here listens to would only spin."""
    if interaction.type is not discord.InteractionType.component or interaction.data is None:
        return
    if not Button.knows(str(interaction.data.get("custom_id", ""))):
        with contextlib.suppress(discord.HTTPException):
            await interaction.response.send_message(_STALE, ephemeral=True)
