"""What a clone learned from, what was kept aside to measure it, and what it said on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlite_utils import Database

from storage.ids import utc_now, utc_time

Split = Literal["train", "heldout"]


@dataclass(frozen=True, slots=True)
class CorpusPost:
    post_source_id: str
    """`Post.id`."""
    split: Split
    text: str
    """As cleaned for training."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a clone wrote at a step of its training; `text` begins with the prompt."""

    at: datetime
    step: int
    prompt: str
    text: str


def record_corpus(db: Database, clone_id: str, rows: Iterable[CorpusPost]) -> None:
    """Store a clone's corpus in place of the one that it had, all or nothing."""
    with db.atomic():
        db.execute("delete from clone_posts where clone_id = ?", [clone_id])
        for position, row in enumerate(rows):
            db.execute(
                "insert into clone_posts (clone_id, position, post_source_id, split, text) values (?, ?, ?, ?, ?)",
                [clone_id, position, row.post_source_id, row.split, row.text],
            )


def corpus(db: Database, clone_id: str) -> Iterator[CorpusPost]:
    """A clone's corpus in the order in which it was stored."""
    for row in db.execute(
        "select post_source_id, split, text from clone_posts where clone_id = ? order by position", [clone_id]
    ):
        yield CorpusPost(*row)


def add_sample(db: Database, clone_id: str, step: int, prompt: str, text: str) -> None:
    """Store what a clone wrote."""
    db.execute(
        "insert into samples (clone_id, at, step, prompt, text) values (?, ?, ?, ?, ?)",
        [clone_id, utc_now(), step, prompt, text],
    )


def forget_samples_after(db: Database, clone_id: str, step: int) -> None:
    """Delete what was written after a step: a training that goes on from there says it again."""
    db.execute("delete from samples where clone_id = ? and step > ?", [clone_id, step])


def samples(db: Database, clone_id: str) -> list[Sample]:
    """What a clone wrote, in order."""
    rows = db.execute("select at, step, prompt, text from samples where clone_id = ? order by id", [clone_id])
    return [Sample(utc_time(at), step, prompt, text) for at, step, prompt, text in rows]
