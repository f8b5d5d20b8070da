"""A text as words, and words as numbers: what the guard compares.

A word is what it is to the trainer's measure of copying. Links and X's entities are taken out first, as they are before
a persona learns.
"""

from __future__ import annotations

import hashlib
import re
import struct
import unicodedata
import zlib
from collections.abc import Sequence

from trainer.quality.words import words

RUN = 3
"""Words in a hashed run."""

_LINK = re.compile(r"(?:https?:|pic\.twitter\.com/)\S+")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_ENTITY = re.compile("|".join(_ENTITIES))
_QUOTES = str.maketrans(dict.fromkeys("’‘‛ʼ′´`‹›", "'") | dict.fromkeys("“”„‟″«»", '"'))


def folded(text: str) -> str:
    """What is compared when a word is looked for that must not be said: letters in any case and width, whatever the
    keyboard makes of quotation marks and apostrophes, and one space where there are several."""
    plain = unicodedata.normalize("NFKC", text.translate(_QUOTES))  # NFKC would split some of the marks
    return " ".join(unicodedata.normalize("NFKC", plain.casefold()).split())


def numbers(text: str) -> list[int]:
    """A text's words as numbers, the same everywhere and always; two words in a million share one."""
    plain = _LINK.sub(" ", _ENTITY.sub(lambda entity: _ENTITIES[entity.group()], text))
    return [zlib.crc32(word.encode("utf-8", "replace")) for word in words(plain)]


def hashes(row: Sequence[int]) -> list[int]:
    """Of every run of three words, in order; a shorter text is one run."""
    if not row:
        return []
    if len(row) < RUN:
        return [_hash(row[0], row[1] if len(row) > 1 else 0, 0)]
    return [_hash(*row[at : at + RUN]) for at in range(len(row) - RUN + 1)]


def pack(row: Sequence[int]) -> bytes:
    """Numbers as the database keeps them."""
    return struct.pack(f"<{len(row)}I", *row)


def unpack(packed: bytes) -> tuple[int, ...]:
    """Numbers as `pack` wrote them."""
    return struct.unpack(f"<{len(packed) // 4}I", packed)


def digest(packed: bytes) -> int:
    """What tells a whole text from another, in 63 bits."""
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest()) >> 1


def _hash(first: int, second: int, third: int) -> int:
    """Multiplications by odd numbers without a pattern, as in Knuth's TAOCP 6.4; SQLite's integers have 63 bits."""
    return ((first * 0x9E3779B97F4A7C15 + second) * 0xC2B2AE3D27D4EB4F + third) * 0x165667B19E3779F9 >> 5 & (2**63 - 1)
