"""Text made safe to show: what people wrote on a terminal, and what this machine says to strangers."""

from __future__ import annotations

import re
import unicodedata

_FOLDERS = re.compile(r"(?<![\w/:.~])(?:/[^\s/:;,'\"`]+)+/(?=[^\s/:;,'\"`])")


def printable(text: str) -> str:
    """Text without control characters, which could drive a terminal, and half characters, which none can show."""
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)


def without_folders(text: str) -> str:
    """Text whose absolute paths are cut to the names of their files."""
    return _FOLDERS.sub("", text)
