"""Text that people wrote, made safe to print on a terminal."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Text without control characters, which could drive a terminal, and half characters, which none can show."""
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
