"""Every text that is known, as numbers: three words in a row, hashed, lead to the texts that have them.

What a word and its number are is the guard's affair. A text's number begins with that of whoever it belongs to, so
that the texts of one persona stand together below every hash. Nothing here can be read as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlite_utils import Database

_TEXTS_OF_ONE = 2**24
"""More texts than one persona can have."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A text that the guard has yet to read."""

    id: int
    persona_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as the guard read it."""

    persona_id: str
    digest: int
    words: bytes
    hashes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A text that was read."""

    number: int
    persona_id: str
    handle: str
    words: bytes


def unread(db: Database, limit: int) -> list[Unread]:
    """The texts that wait the longest."""
    rows = db.execute("select id, persona_id, text from texts_to_read order by id limit ?", [limit])
    return [Unread(*row) for row in rows.fetchall()]


def record(db: Database, texts: Iterable[Reading], waited: Iterable[Unread]) -> None:
    """Keep what was read, each text of a persona once; those that waited for it wait no longer."""
    with db.atomic():
        runs: list[tuple[int, int]] = []
        following: dict[str, int] = {}
        for text in texts:
            owner = _owner(db, text.persona_id)
            if owner is None:  # who was erased meanwhile
                continue
            if db.execute("select 1 from known_texts where owner = ? and digest = ?", [owner, text.digest]).fetchone():
                continue
            number = following.get(text.persona_id) or _first_free(db, owner)
            following[text.persona_id] = number + 1
            db.execute(
                "insert into known_texts (number, owner, digest, words) values (?, ?, ?, ?)",
                [number, owner, text.digest, text.words],
            )
            runs += [(hash, number) for hash in text.hashes]
        # In the order of the tree: a hundred times fewer pages are touched than in the order of the texts.
        db.conn.executemany("insert or ignore into word_runs (hash, number) values (?, ?)", sorted(runs))
        # By the text too: the id of a row that is gone may be a newer one's.
        read = [(text.id, text.text) for text in waited]
        db.conn.executemany("delete from texts_to_read where id = ? and text = ?", read)


def owner(db: Database, persona_id: str) -> int | None:
    """The number of a persona of whom any text is known."""
    row = db.execute("select number from known_personas where persona_id = ?", [persona_id]).fetchone()
    return None if row is None else int(row[0])


def having(db: Database, hash: int, owner: int | None = None, limit: int = -1) -> list[int]:
    """The numbers of texts that have this run; of all personas, or one's."""
    low, high = (0, 2**63 - 1) if owner is None else (owner * _TEXTS_OF_ONE, (owner + 1) * _TEXTS_OF_ONE - 1)
    rows = db.execute(
        "select number from word_runs where hash = ? and number between ? and ? limit ?", [hash, low, high, limit]
    )
    return [number for (number,) in rows.fetchall()]


def having_all(db: Database, hashes: Sequence[int]) -> list[int]:
    """The numbers of texts that have each of these runs."""
    query = " intersect ".join(["select number from word_runs where hash = ?"] * len(hashes))
    return [number for (number,) in db.execute(query, list(hashes)).fetchall()]


def words_having(db: Database, hash: int, owner: int, limit: int) -> list[tuple[int, bytes]]:
    """The numbers and the words of a persona's texts that have this run."""
    rows = db.execute(
        "select number, words from word_runs join known_texts using (number)"
        " where hash = ? and word_runs.number between ? and ? limit ?",
        [hash, owner * _TEXTS_OF_ONE, (owner + 1) * _TEXTS_OF_ONE - 1, limit],
    )
    return list(rows.fetchall())


def known(db: Database, numbers: Iterable[int]) -> list[Known]:
    """The texts of these numbers."""
    query = (
        "select known_texts.number, personas.id, personas.handle, words from known_texts"
        " join known_personas on known_personas.number = owner join personas on personas.id = persona_id"
        " where known_texts.number = ?"
    )
    return [Known(*row) for number in numbers for row in db.execute(query, [number]).fetchall()]


def counts(db: Database) -> tuple[int, int]:
    """How many texts are known, and how many wait."""
    (read,) = db.execute("select count(*) from known_texts").fetchone()
    (waiting,) = db.execute("select count(*) from texts_to_read").fetchone()
    return read, waiting


def prune(db: Database) -> None:
    """Forget the runs of texts that are gone."""
    with db.atomic():
        db.execute("delete from word_runs where number not in (select number from known_texts)")


def _owner(db: Database, persona_id: str) -> int | None:
    db.execute("insert or ignore into known_personas (persona_id) select id from personas where id = ?", [persona_id])
    return owner(db, persona_id)


def _first_free(db: Database, owner: int) -> int:
    low, high = owner * _TEXTS_OF_ONE, (owner + 1) * _TEXTS_OF_ONE - 1
    (last,) = db.execute("select max(number) from known_texts where number between ? and ?", [low, high]).fetchone()
    return low if last is None else last + 1
