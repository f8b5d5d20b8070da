"""CSV or TSV → drafts of posts: columns by the names in the first row, or one column of texts with no names."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from bot.errors import NoPosts, SourceError
from bot.sources.base import Limits
from bot.sources.encoding import lines
from bot.sources.files import PostFile
from bot.sources.records import TEXT_NAMES, Draft, draft, plain_name

_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE_LINES = 200
_COLUMN_NAME = re.compile(r"[^\W\d][\w.-]{0,29}( [\w.-]{1,29}){0,2}")
_TEXT_COLUMNS = {*TEXT_NAMES, "tweets", "posts", "texts"}
# No file can hold it: it is no character. Read back as a row of its own, it proves that no quote was left open.
_END = "\ufffe\n"


@dataclass(frozen=True, slots=True)
class Table:
    """How a file's rows are to be read."""

    delimiter: str
    names: tuple[str, ...]
    """The columns' names; empty where the only column has none."""


def recognise(file: PostFile, limits: Limits) -> Table | None:
    """The table that a file's first row announces: a column of texts, by its name. None where there is none."""
    sample = list(islice(lines(file, limits), _SAMPLE_LINES))
    for delimiter in _DELIMITERS:
        try:
            names = next(csv.reader(sample, delimiter=delimiter), [])
        except csv.Error:  # such as a field longer than the module takes: no header
            continue
        if _has_texts(names) and len(names) == len({plain_name(name) for name in names}):
            return Table(delimiter, tuple(names))
    return None


def drafts(file: PostFile, limits: Limits) -> Iterator[Draft]:
    """The posts of a CSV file, rows without a text passed over.

    Raises SourceError where no column is surely the texts or a quote is never closed, and as `encoding.lines` does.
    """
    table = recognise(file, limits) or _nameless(file, limits)
    rows = _rows(file, table.delimiter, limits)
    if not table.names:
        for row in rows:
            if found := draft("".join(row)):
                yield found
        return
    next(rows, None)
    names = ["text" if plain_name(name) in {"tweets", "posts", "texts"} else name for name in table.names]
    for row in rows:
        if found := draft(dict(zip(names, row, strict=False))):
            yield found


def _nameless(file: PostFile, limits: Limits) -> Table:
    """One column without a name. Raises SourceError where there are several columns."""
    sample = list(islice(_rows(file, ",", limits, whole=False), _SAMPLE_LINES))
    widths = Counter(len(row) for row in sample if row)
    if not widths:
        raise NoPosts(f"{file.name!r} has no rows.", "Export it again.")
    if set(widths) == {1}:
        return Table(",", ())
    first = sample[0]
    # Only what is surely no post may be shown.
    if len(widths) == 1 and all(_COLUMN_NAME.fullmatch(name) for name in first):
        raise SourceError(
            f"No column of {file.name!r} is surely the posts; it has {', '.join(first[:12])}.",
            "Name the column with the posts text.",
        )
    raise SourceError(
        f"{file.name!r} has rows of {min(widths)} to {max(widths)} columns and no row of names that says which one "
        "holds the posts.",
        "Put names in the first row, text among them; if it is one post a line, call the file .txt.",
    )


def _has_texts(names: list[str]) -> bool:
    return any(plain_name(name) in _TEXT_COLUMNS and _COLUMN_NAME.fullmatch(name.strip()) for name in names)


def _rows(file: PostFile, delimiter: str, limits: Limits, *, whole: bool = True) -> Iterator[list[str]]:
    """The rows, empty ones too, and the proof at their end that none is missing."""
    rows = csv.reader(_closed(lines(file, limits)), delimiter=delimiter)
    previous: list[str] | None = None
    try:
        for row in rows:
            if previous is not None:
                yield previous
            previous = row
    except csv.Error:
        raise SourceError(
            f"{file.name!r} has a field of more than {csv.field_size_limit():,} characters near row {rows.line_num:,}.",
            "A quote is probably never closed there; export the file again.",
        ) from None
    if whole and previous != [_END.strip()]:
        raise SourceError(
            f"{file.name!r} ends inside a quoted field: it was cut short, or a quote is never closed.",
            "Export the file again.",
        )


def _closed(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith(("\n", "\r")) else line + "\n"
    yield _END
