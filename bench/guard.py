"""`make bench-guard`: the guard's time with a million posts in the database, and what an overfitted clone gets out.

The posts are invented: words as often as words are (Zipf), and phrases, of which the commonest is in two posts of a
hundred. The clone is the worst there can be: what it says are posts that it learned, whole, in part, or with a word in
five replaced; now and then something of its own, which should get out. What gets out is held against its source, and
against all posts of its persona by the trainer's own measure of copying.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from pathlib import Path

import psutil
from sqlite_utils import Database

from bench.report import MB, QUICK, Report, at_most, below
from bot.guard.originality import catch_up, find_copy
from storage import personas, posts
from storage.database import open_database
from storage.posts import Post
from trainer.quality.copying import Originals
from trainer.quality.words import words

POSTS = 20_000 if QUICK else 1_000_000
PERSONAS = 20
SAMPLES = 500 if QUICK else 10_000
VOCABULARY = 50_000
PHRASES = 2_000
SEED = 11


@dataclass(frozen=True, slots=True)
class Sample:
    """What the clone said, and the post that it had in mind."""

    text: str
    source: str
    """Empty for something of its own."""


def main() -> int:
    """Fill a database, then let the clone talk."""
    sizes = {"posts": POSTS, "personas": PERSONAS, "samples": SAMPLES, "vocabulary": VOCABULARY, "seed": SEED}
    report = Report("guard", sizes)
    with tempfile.TemporaryDirectory() as folder:
        db = open_database(Path(folder) / "mynah.db")
        ada, learned = _fill(db, report)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        report.say(f"The database has {size / MB:,.0f} MB.")
        status = _measure(db, ada, learned, report)
        db.close()
    return status


def _fill(db: Database, report: Report) -> tuple[str, list[str]]:
    """All posts; the id of the first persona, and what it learned from."""
    write = _writer(random.Random(SEED))
    first: tuple[str, list[str]] | None = None
    began = time.perf_counter()
    for number in range(PERSONAS):
        persona = personas.ensure(db, f"person{number}")
        texts = [write() for _ in range(POSTS // PERSONAS)]
        posts.add(db, persona.id, (Post("csv", str(at), "", None, text) for at, text in enumerate(texts)))
        first = first or (persona.id, texts)
    report.say(f"Stored in {time.perf_counter() - began:,.0f} s.")
    began = time.perf_counter()
    while catch_up(db):
        pass
    report.say(f"Read by the guard in {time.perf_counter() - began:,.0f} s.")
    assert first is not None
    return first


def _measure(db: Database, ada: str, learned: list[str], report: Report) -> int:
    samples = list(_parrot(learned, random.Random(SEED + 1)))
    times, worked, passed = [], [], []
    before = psutil.Process().memory_info().rss
    for sample in samples:
        began, busy = time.perf_counter(), time.process_time()
        copy = find_copy(db, sample.text, ada)
        times.append((time.perf_counter() - began) * 1_000)
        worked.append((time.process_time() - busy) * 1_000)
        if copy is None:
            passed.append(sample)
    grown = (psutil.Process().memory_info().rss - before) / MB
    report.measured("time a candidate, percentiles", "ms", statistics.quantiles(times, n=100))
    percentiles = report.measured("processor time, percentiles", "ms", statistics.quantiles(worked, n=100)).values
    originals = Originals(learned)
    copies = [sample for sample in passed if _is_copy(sample) or originals.nearest(sample.text).copied]
    own = sum(not sample.source for sample in samples)
    report.say(f"{own:,} of {len(samples):,} samples were the clone's own; {len(passed):,} passed.")
    out = sum(not sample.source for sample in passed)
    return report.conclude(
        [
            below("guard, mean time a candidate", statistics.fmean(times), "ms", 5),
            below("guard, 99th percentile of processor time", percentiles[98], "ms", 5),
            at_most(f"guard, copies out of {len(samples)} samples", len(copies), "", 0),
            at_most("guard, share of own texts refused", 1 - out / own, "", 0.05),
            below("guard, memory that checking took", max(grown, 0.0), "MB", 100),
        ]
    )


def _is_copy(sample: Sample) -> bool:
    """By Python's own comparison: four fifths in the same order, or eight words in a row."""
    one, other = words(sample.text), words(sample.source)
    if not sample.source:
        return False
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() >= 0.8 or matcher.find_longest_match().size >= 8


def _writer(chance: random.Random) -> Callable[[], str]:
    """Writes posts of 4 to 30 words."""
    word = _zipf([f"w{number:x}" for number in range(VOCABULARY)], chance)
    phrase = _zipf([" ".join(word() for _ in range(chance.randint(3, 5))) for _ in range(PHRASES)], chance, 10)

    def write() -> str:
        parts = [phrase() if chance.random() < 0.1 else word() for _ in range(chance.randint(4, 22))]
        return " ".join(parts)

    return write


def _zipf(items: list[str], chance: random.Random, offset: int = 0) -> Callable[[], str]:
    """Draws the n-th item with a chance of 1 / (n + offset): Zipf's law, and Mandelbrot's for phrases."""
    sums = list(accumulate(1 / (rank + offset) for rank in range(1, len(items) + 1)))
    return lambda: items[bisect_left(sums, chance.random() * sums[-1])]


def _parrot(learned: list[str], chance: random.Random) -> Iterator[Sample]:
    """What an overfitted clone says."""
    write = _writer(chance)
    long = [text for text in learned if len(text.split()) >= 10]
    for _ in range(SAMPLES):
        source = chance.choice(long)
        said = source.split()
        match chance.randrange(6):
            case 0:
                yield Sample(source, source)
            case 1:
                yield Sample(f"{source.upper()}!", source)
            case 2:
                for at in chance.sample(range(len(said)), len(said) // 5):
                    said[at] = write().split()[0]
                yield Sample(" ".join(said), source)
            case 3:
                at = chance.randint(0, len(said) - 8)
                yield Sample(f"{write()} {' '.join(said[at : at + 8])} {write()}", source)
            case 4:
                short = chance.choice(learned)
                yield Sample(short, short)
            case _:
                yield Sample(f"{write()} {write()}", "")


if __name__ == "__main__":
    sys.exit(main())
