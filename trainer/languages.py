"""Which languages somebody writes in, found offline.

Each post is named by py3langid (BSD-3-Clause; Lui and Baldwin, "langid.py: An Off-the-shelf Language Identification
Tool", ACL 2012). One post alone is easily mistaken, so a language counts with a tenth of the characters of all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import py3langid

from trainer.catalog import PACKAGED

ENOUGH_LETTERS = 40
"""A post with fewer says little of its language."""
ENOUGH_SHARE = 0.1
SAMPLE = 400
"""Posts that are read; more tell no more."""

_NOT_LANGUAGE = re.compile(r"https?://\S+|[@#]\w+|[^\w\s'’.,!?¿¡、。]|\d+")


def languages(posts: Iterable[str]) -> tuple[str, ...]:
    """ISO 639-1 codes, the most written first; none where there is nothing to read."""
    texts = [" ".join(_NOT_LANGUAGE.sub(" ", post).split()) for post in posts]
    long_enough = [text for text in texts if sum(map(str.isalpha, text)) >= ENOUGH_LETTERS]
    if not long_enough:
        together = " ".join(texts)
        long_enough = [together] if sum(map(str.isalpha, together)) >= ENOUGH_LETTERS // 2 else []
    step = max(1, len(long_enough) // SAMPLE)
    written: Counter[str] = Counter()
    for text in long_enough[::step]:
        code, _ = py3langid.classify(text)
        written[str(code)] += len(text)
    return tuple(code for code, characters in written.most_common() if characters >= ENOUGH_SHARE * written.total())


def foreign(base: str, posts: Iterable[str]) -> str:
    """What to mind where most posts are in a language that the base never learned, or ""; of a base without a name of
    ours nothing is known."""
    packaged = PACKAGED.get(base)
    written = languages(posts) if packaged else ()
    if not packaged or not written or written[0] in packaged.languages:
        return ""
    known = ", ".join(packaged.languages)
    return (
        f"Most of it is in the language {written[0]!r}, and the base {base} learned {known} only: expect words that "
        f"are nearly right. A base that knows {written[0]!r} (base_model in config.toml) does better."
    )
