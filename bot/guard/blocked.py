"""Words that no post may have: the owner's own, and lists of toxic ones.

The lists are those of the package badwords-py (MIT; its lists CC BY 4.0 and MIT). A word counts where it stands alone,
whatever its case and its apostrophes; inside another word it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bot.errors import GuardError
from bot.guard.words import folded
from bot.settings import toxic_lists
from trainer.quality.words import words


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
    """Those of some languages, `en,es`; none where none is named. Raises GuardError for one that has no list."""
    known = toxic_lists.files()
    wanted = toxic_lists.named(languages)
    if not set(wanted) <= known.keys():
        raise GuardError(
            f"The toxic words of {languages!r} are not here.", "Reinstall: make run; or clear guard.toxic_words."
        )
    return _blocked("\n".join(known[language].read_text(encoding="utf-8") for language in wanted))


def _blocked(lines: str) -> BlockedWords:
    rows = (tuple(words(folded(line))) for line in lines.splitlines() if not line.startswith("#"))
    phrases = frozenset(row for row in rows if row)
    return BlockedWords(phrases, max(map(len, phrases), default=0))
