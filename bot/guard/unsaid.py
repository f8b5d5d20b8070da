"""What a persona never says on Discord: the words of `/persona words`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.guard.words import folded

ON_DISCORD = ("discord", "webhook")
"""The kinds of target that are there."""


def holds(text: str, unsaid: Sequence[str]) -> bool:
    """Whether one of these words or phrases is in a text, whatever its case and its quotation marks."""
    said = folded(text)
    return any(re.search(rf"(?<!\w){re.escape(folded(word))}(?!\w)", said) for word in unsaid)


def is_on_discord(target: str) -> bool:
    """Whether what goes to a target is said there."""
    return target.partition(":")[0] in ON_DISCORD
