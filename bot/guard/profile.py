"""How a persona writes, as far as the guard has to know it: its scripts, its words, and those it uses most.

The language of a text is judged by them, not by a model: in one's own language, half of the words of any text are among
the few hundred that one uses most; in another, hardly any.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlite_utils import Database

from trainer.quality.words import words

_MOST_USED = 300
_ENOUGH_WORDS = 500
"""With fewer words of a persona's, nothing is said about its language."""
_FEW_WORDS = 5
"""A shorter text can be in any language."""
_OWN_SHARE = 0.2
_SCRIPT_SHARE = 0.02
_NEWEST = 3_000


@dataclass(frozen=True, slots=True)
class Profile:
    """Of one persona."""

    scripts: frozenset[str]
    most_used: frozenset[str]
    vocabulary: tuple[str, ...]
    """Sorted."""

    def speaks_like(self, text: str) -> bool:
        """Whether a text is in a script and a language of the persona, as far as can be told."""
        script = next(iter(_scripts([text]).most_common(1)), None)
        if self.scripts and script is not None and script[0] not in self.scripts:
            return False
        said = words(text)
        if not self.most_used or len(said) < _FEW_WORDS:
            return True
        return self.familiarity(text) >= _OWN_SHARE

    def familiarity(self, text: str) -> float:
        """The share of a text's words that are among those that the persona uses most."""
        said = words(text)
        return sum(word in self.most_used for word in said) / len(said) if said else 0.0

    def knows(self, word: str) -> bool:
        at = bisect_left(self.vocabulary, word)
        return at < len(self.vocabulary) and self.vocabulary[at] == word

    def is_cut(self, word: str) -> bool:
        """Whether a word is none of the persona's, but begins one."""
        at = bisect_left(self.vocabulary, word)
        return at < len(self.vocabulary) and self.vocabulary[at] != word and self.vocabulary[at].startswith(word)


NOBODY = Profile(frozenset(), frozenset(), ())
"""Of whom nothing is known, such as a model that was adopted."""


def profile(texts: Iterable[str]) -> Profile:
    """From what a persona wrote."""
    written = list(texts)
    scripts = _scripts(written)
    letters = scripts.total()
    used = Counter(word for text in written for word in words(text))
    known = used.total() >= _ENOUGH_WORDS
    return Profile(
        scripts=frozenset(name for name, count in scripts.items() if count >= _SCRIPT_SHARE * letters),
        most_used=frozenset(word for word, _ in used.most_common(_MOST_USED)) if known else frozenset(),
        vocabulary=tuple(sorted(used)),
    )


def of_persona(db: Database, persona_id: str) -> Profile:
    """From what its current version learned, or else from its posts."""
    rows = db.execute(
        "select text from clone_posts where clone_id = (select current_clone_id from personas where id = ?)"
        " order by position desc limit ?",
        [persona_id, _NEWEST],
    ).fetchall()
    if not rows:
        rows = db.execute(
            "select text from posts where persona_id = ? and kind <> 'repost' order by created_at desc limit ?",
            [persona_id, _NEWEST],
        ).fetchall()
    return profile(text for (text,) in rows)


def _scripts(texts: Iterable[str]) -> Counter[str]:
    """Letters by script, which is the first word of a letter's name in Unicode."""
    letters = Counter(character for text in texts for character in text if character.isalpha())
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[unicodedata.name(letter, "UNKNOWN").split()[0]] += count
    return scripts
