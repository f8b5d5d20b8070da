"""What the reranker goes by: a few figures of a text, each with a name. None of them can be read as text."""

from __future__ import annotations

from bot.guard.profile import Profile
from bot.guard.weighted import weighted_length
from trainer.quality.words import words

NAMES = (
    "length", "words", "word length", "different words", "own words", "most used words", "questions", "exclamations",
    "capitals", "digits", "beyond letters", "ends a sentence", "begins with a capital",
)  # fmt: skip


def features(text: str, profile: Profile) -> tuple[float, ...]:
    """One figure a name; the length as X counts it, shares from 0 to 1."""
    said = words(text)
    letters = [character for character in text if character.isalpha()]
    return (
        float(weighted_length(text)),
        float(len(said)),
        _share(sum(map(len, said)), said),
        _share(len(set(said)), said),
        _share(sum(map(profile.knows, said)), said),
        profile.familiarity(text),
        float(text.count("?")),
        float(text.count("!")),
        _share(sum(letter.isupper() for letter in letters), letters),
        _share(sum(character.isdigit() for character in text), text),
        _share(sum(not character.isascii() and not character.isalpha() for character in text), text),
        float(text.rstrip()[-1:] in (".", "!", "?", "…", "。")),
        float(text[:1].isupper()),
    )


def _share(count: int, of: list[str] | str) -> float:
    return count / len(of) if of else 0.0
