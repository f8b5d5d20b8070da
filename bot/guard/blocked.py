"""Words that no post may have: the owner's own, and lists of toxic ones.

The lists are those of the package badwords-py (MIT; its lists CC BY 4.0 and MIT), of which nothing is imported. A word
counts where it stands alone, whatever its case and its apostrophes; inside another word it does not.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bot.errors import GuardError
from bot.guard.words import folded
from trainer.quality.words import words

_LANGUAGE = re.compile(r"[a-z]{2}(_[a-z0-9]{2,3})?")


@dataclass(frozen=True, slots=True)
class BlockedWords:
    """Words and phrases, as rows of words."""

    phrases: frozenset[tuple[str, ...]]
    longest: int

    def found_in(self, text: str) -> bool:
        said = words(folded(text))
        return any(
            tuple(said[at : at + length]) in self.phrases
            for length in range(1, self.longest + 1)
            for at in range(len(said) - length + 1)
        )


NO_WORDS = BlockedWords(frozenset(), 0)


def from_file(path: Path) -> BlockedWords:
    """One word or phrase a line. Raises GuardError for a file that cannot be read."""
    try:
        return _blocked(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise GuardError(
            f"The blocked words in {path} cannot be read.", "Name a text file in UTF-8 in guard.blocked_words."
        ) from error


@lru_cache(maxsize=8)
def toxic(languages: str) -> BlockedWords:
    """Those of some languages, `en,es`; none where none is named. Raises GuardError for an unknown one."""
    texts = [_list_of(language.strip()) for language in languages.split(",") if language.strip()]
    return _blocked("\n".join(texts))


def _list_of(language: str) -> str:
    spec = importlib.util.find_spec("badwords")  # which does not import it
    if spec is None or spec.origin is None:
        raise GuardError("The lists of toxic words are not installed.", "Run `make run`, or clear guard.toxic_words.")
    path = Path(spec.origin).parent / "resource" / "words" / f"{language}.txt"
    if not _LANGUAGE.fullmatch(language) or not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.txt")))
        raise GuardError(f"There is no list of toxic words for {language!r}.", f"guard.toxic_words takes {known}.")
    return path.read_text(encoding="utf-8")


def _blocked(lines: str) -> BlockedWords:
    rows = (tuple(words(folded(line))) for line in lines.splitlines() if not line.startswith("#"))
    phrases = frozenset(row for row in rows if row)
    return BlockedWords(phrases, max(map(len, phrases), default=0))
