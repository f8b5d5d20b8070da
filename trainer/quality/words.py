"""What counts as a word when texts are compared: case, the punctuation around it and the kind of apostrophe do not."""

from __future__ import annotations

import re

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Burmese, Khmer, Kana and Han are written without spaces: there, each character is a word."""

_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
COPIED_WORDS = 8
"""So many in a row are taken from another text, not only in common with it."""

_NAME = re.compile(r"[^\w@#]*[@#]")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_APOSTROPHES = str.maketrans("’‘ʼ＇", "''''")


def words(text: str) -> list[str]:
    """A text's words, case-folded and without punctuation at their edges; what is only punctuation or emoji is none."""
    bare = (_EDGES.sub("", word) for word in _WORD.findall(text.translate(_APOSTROPHES)))
    return [word.casefold() for word in bare if word]


def only_names(text: str) -> bool:
    """Whether a text is nothing but mentions and hashtags, in brackets or quotation marks too."""
    return all(_NAME.match(word) for word in text.split())


def runs(text: str) -> set[tuple[str, ...]]:
    """Every `COPIED_WORDS` words of a text in a row."""
    said = words(text)
    return {tuple(said[at : at + COPIED_WORDS]) for at in range(len(said) - COPIED_WORDS + 1)}
