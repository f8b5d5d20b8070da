"""Is a text anybody's already? Against every text in the database, in a few milliseconds.

A text is a copy where it shares eight words in a row with a known one, or is a near copy of it: four fifths of the
words of both, in the same order. What a persona itself learned from is held to the trainer's measure of copying as
well (`trainer.quality.copying`): of a short text, four fifths in a row are a copy. One or two words are anybody's,
unless they are somebody's whole post.

Runs of three words lead to the texts to compare. Runs that more than `_COMMON` texts have lead nowhere; where a text
has no other, those that have all of its runs are looked up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlite_utils import Database

from bot.errors import GuardError
from bot.guard.words import RUN, digest, hashes, numbers, pack, unpack
from storage import originality
from storage.originality import Known, Reading, Unread

COPIED_WORDS = 8
COPIED_SHARE = 0.8
SHORT_WORDS = 3

_COMMON = 64
_FORMS = 20_000
AT_ONCE = 20_000
"""Texts that are read at once: the fewer times, the fewer pages of a large index are written again."""
_MOST_UNREAD = 5_000


@dataclass(frozen=True, slots=True)
class Copy:
    """What a text has in common with a known one."""

    kind: Literal["run", "near", "whole"]
    words: int
    """In a row, or in order, that both have."""
    of: str
    """The handle of whoever the known one belongs to."""


def catch_up(db: Database) -> bool:
    """Read some of the texts that wait; whether any may be left."""
    waiting = originality.unread(db, AT_ONCE)
    if waiting:
        originality.record(db, read(waiting), waiting)
    return len(waiting) == AT_ONCE


def read(waiting: Iterable[Unread]) -> list[Reading]:
    """Texts as the index has them."""
    rows = ((text.persona_id, numbers(text.text)) for text in waiting)
    packed = ((persona_id, row, pack(row)) for persona_id, row in rows)
    return [Reading(persona_id, digest(words), words, tuple(hashes(row))) for persona_id, row, words in packed]


def find_copy(
    db: Database, text: str, persona_id: str, *, prompt: str = "", ignoring: str | None = None
) -> Copy | None:
    """A known text that this one is a copy of.

    The words of the prompt that it begins with were given by the asker. `ignoring` is a text of the persona's own that
    does not count: a draft that is looked at once more. Raises GuardError where too many texts are not yet read.
    """
    row = _without_prompt(numbers(text), numbers(prompt))
    if not row:
        return None
    skipped = None if ignoring is None else pack(numbers(ignoring))
    for known in _similar(db, row, originality.owner(db, persona_id)):
        own = known.persona_id == persona_id
        if not (own and known.words == skipped) and (copy := _compare(row, unpack(known.words), own, known.handle)):
            return copy
    return _among_unread(db, row, persona_id, skipped)


def _similar(db: Database, row: Sequence[int], owner: int | None) -> Iterator[Known]:
    """The known texts that may be alike, those with the most runs in common first."""
    runs = hashes(row)
    shared: Counter[int] = Counter()
    common: set[int] = set()
    for run in set(runs):
        found = originality.having(db, run, limit=_COMMON + 1)
        if len(found) > _COMMON and len(row) >= SHORT_WORDS:
            common.add(run)
        else:
            shared.update(found)
    # A word replaced takes three runs along, and a fifth of the words may be; eight in a row have six runs.
    enough = min(COPIED_WORDS - RUN + 1, int(0.4 * len(row)) - 2) - sum(run in common for run in runs)
    likely = [number for number, times in shared.most_common() if times >= max(1, enough)]
    yield from originality.known(db, likely)
    if owner is not None and len(row) <= COPIED_WORDS:
        yield from originality.known(db, _own(db, runs, owner, len(row)))
    if owner is not None and common:
        yield from originality.known(db, _forms(db, row, common, owner))
    windows = (runs[at : at + COPIED_WORDS - RUN + 1] for at in range(max(1, len(row) - COPIED_WORDS + 1)))
    for window in windows:
        if common.issuperset(window):
            yield from originality.known(db, originality.having_all(db, sorted({window[0], window[-1], *window[1::2]})))


def _own(db: Database, runs: Sequence[int], owner: int, length: int) -> set[int]:
    """The persona's texts that have four fifths of a short one in a row."""
    needed = max(1, math.ceil(COPIED_SHARE * length) - RUN + 1)
    having = [set(originality.having(db, run, owner)) for run in runs]
    return set().union(*(set.intersection(*having[at : at + needed]) for at in range(len(runs) - needed + 1)))


def _forms(db: Database, row: Sequence[int], common: Iterable[int], owner: int) -> set[int]:
    """The persona's texts with a common run that also have most words of this one: forms that some app of theirs fills.

    A near copy has two thirds of the words at least.
    """
    mine = frozenset(row)
    enough = len(mine) - len(row) // 3
    return {
        number
        for run in common
        for number, packed in originality.words_having(db, run, owner, _FORMS)
        if len(mine.intersection(unpack(packed))) >= enough
    }


def _compare(row: Sequence[int], other: Sequence[int], own: bool, handle: str) -> Copy | None:
    if len(row) < SHORT_WORDS:
        return Copy("whole", len(row), handle) if tuple(row) == tuple(other) else None
    run = _longest_run(row, other)
    if run >= COPIED_WORDS or (own and run >= COPIED_SHARE * len(row)):
        return Copy("run", run, handle)
    in_order = _in_order(row, other)
    return Copy("near", in_order, handle) if 2 * in_order >= COPIED_SHARE * (len(row) + len(other)) else None


def _longest_run(row: Sequence[int], other: Sequence[int]) -> int:
    """Words in a row that both have."""
    longest = 0
    ending: dict[int, int] = {}
    places: dict[int, list[int]] = {}
    for at, word in enumerate(other):
        places.setdefault(word, []).append(at)
    for word in row:
        ending = {at: ending.get(at - 1, 0) + 1 for at in places.get(word, ())}
        longest = max(longest, *ending.values(), 0)
    return longest


def _in_order(row: Sequence[int], other: Sequence[int]) -> int:
    """The longest common subsequence, a row of its table in one number (Hyyrö 2004, "Bit-parallel LCS-length
    computation revisited", AWOCA)."""
    places: dict[int, int] = {}
    for at, word in enumerate(row):
        places[word] = places.get(word, 0) | 1 << at
    full = (1 << len(row)) - 1
    zeros = full
    for word in other:
        matching = zeros & places.get(word, 0)
        zeros = (zeros + matching | zeros - matching) & full
    return len(row) - zeros.bit_count()


def _among_unread(db: Database, row: Sequence[int], persona_id: str, skipped: bytes | None) -> Copy | None:
    """Texts that only a bot which may write can read in; there are few, or nobody can tell."""
    waiting = originality.unread(db, _MOST_UNREAD + 1)
    if len(waiting) > _MOST_UNREAD:
        raise GuardError("Not all posts have been read yet, so nobody can tell what is new.", "Try again in a minute.")
    for text in waiting:
        other = numbers(text.text)
        own = text.persona_id == persona_id
        if not (own and pack(other) == skipped) and (copy := _compare(row, other, own, "")):
            return copy
    return None


def _without_prompt(row: list[int], given: list[int]) -> list[int]:
    return row[len(given) :] if row[: len(given)] == given else row
