"""How a post is written, in numbers: length, casing, punctuation, symbols and function words, nothing about its topic.

Such features tell authors apart across topics; the choice follows the surveys of Stamatatos (2009, "A survey of modern
authorship attribution methods", JASIST 60:3) and of Neal et al. (2017, ACM Computing Surveys 50:6): lexical length,
character classes, punctuation, function words, and what is particular to the medium.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.quality.bootstrap import Floats
from trainer.quality.words import words

_EMOJI = "[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55\u231a\u231b]"
"""Unicode's blocks of pictographs, dingbats and symbols that are shown as emoji."""
_LONG_WORD = re.compile(r"(?<![\w@#])[^\W\d_]{2,}(?!\w)")
_FIRST_LETTER = re.compile(r"(?:[.\s]*@\w+)*[\W\d_]*([^\W\d_])")
"""After the mentions that a reply begins with."""

_FUNCTION_WORDS = {
    "I and me": "i i'm i've i'll i'd me my mine myself yo mi mis ich mich mir mein meine ik mij mijn je moi mon ma mes",
    "you": "you you're your yours u ur tú te tu tus usted du dich dir dein jij jou jouw vous toi votre",
    "we": "we we're us our ours nosotros nuestro nuestra nos wir uns unser wij ons onze nous notre",
    "he, she and they": "he she they him her them his their él ella ellos er sie ihr ihn hij zij hun il elle ils",
    "articles": "the a an el la los las un una der die das ein eine den dem het een de le les une",
    "conjunctions": "and but or because so y pero o porque und aber oder weil en maar of want et mais ou car",
    "negations": "not no never don't can't won't isn't didn't doesn't nunca nicht kein keine nie niet geen pas jamais",
    "forms of to be": "is are was were be been am es son era ist sind war bin ben zijn was est sont était",
}
"""English, Spanish, German, Dutch and French; a form that two languages share counts once."""


@dataclass(frozen=True, slots=True)
class _Post:
    text: str
    words: Sequence[str]


Feature = Callable[[_Post], float]


def _count(pattern: str) -> Feature:
    """How often a pattern occurs."""
    find = re.compile(pattern).findall
    return lambda post: float(len(find(post.text)))


def _has(pattern: str) -> Feature:
    """1 where a pattern occurs, else 0."""
    search = re.compile(pattern).search
    return lambda post: float(search(post.text) is not None)


def _words_of(forms: str) -> Feature:
    known = frozenset(forms.split())
    return lambda post: float(sum(1 for word in post.words if word in known))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _capitals(post: _Post) -> float:
    return _share(sum(map(str.isupper, post.text)), sum(map(str.isalpha, post.text)))


def _words_in_capitals(post: _Post) -> float:
    found = _LONG_WORD.findall(post.text)
    return _share(sum(map(str.isupper, found)), len(found))


def _begins_small(post: _Post) -> float:
    first = _FIRST_LETTER.match(post.text)
    return float(first is not None and first[1].islower())


def _letters_beyond_ascii(post: _Post) -> float:
    letters = [mark for mark in post.text if mark.isalpha()]
    return _share(sum(1 for mark in letters if not mark.isascii()), len(letters))


_FEATURES: dict[str, Feature] = {
    "characters": lambda post: float(len(post.text)),
    "words": lambda post: float(len(post.words)),
    "letters per word": lambda post: _share(sum(map(len, post.words)), len(post.words)),
    "capitals, share of letters": _capitals,
    "words in capitals, share of words": _words_in_capitals,
    "begin in lower case, share of posts": _begins_small,
    "letters beyond a to z, share of letters": _letters_beyond_ascii,
    "full stops": _count(r"(?<!\.)\.(?![.\w])|。"),
    "commas": _count(r"[,、，]"),
    "exclamation marks": _count(r"[!！]"),
    "question marks": _count(r"[?？]"),
    "ellipses": _count(r"…|\.{2,}"),
    "colons and semicolons": _count(r"(?<=\w)[:;](?!\S)"),
    "quotation marks": _count(r"[\"“”„«»]"),
    "apostrophes": _count(r"(?<=\w)['’](?=\w)"),
    "dashes": _count(r"[–—]|(?<!\S)-+(?!\S)"),
    "brackets": _count(r"[()\[\]]"),
    "ampersands": _count(r"&"),
    "end with a mark, share of posts": _has(r"[.!?…。！？][^\w\s]*\Z"),
    "digits": _count(r"\d"),
    "emoji": _count(_EMOJI),
    "hashtags": _count(r"(?<!\w)#\w"),
    "mentions": _count(r"(?<!\w)@\w"),
    "begin with a mention, share of posts": _has(r"\A[.\s]*@\w"),
    "links": _count(r"https?://|pic\.twitter\.com/"),
    "line breaks": _count(r"\n"),
    **{name: _words_of(forms) for name, forms in _FUNCTION_WORDS.items()},
}

NAMES = tuple(_FEATURES)


def features(posts: Sequence[str]) -> Floats:
    """A row a post, a column a feature of `NAMES`: how often it occurs in the post, or a share from 0 to 1."""
    read = [_Post(post, words(post)) for post in posts]
    return np.array([[feature(post) for feature in _FEATURES.values()] for post in read]).reshape(-1, len(NAMES))
