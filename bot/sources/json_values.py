"""A stream of JSON → the values of one list or object in it, one at a time, in bounded memory whatever the JSON is.

Each value is decoded whole by the standard library's decoder, out of a buffer that may hold one record and no more.
(ijson 3.6 was tried first: numbers of 5,000 digits and deep nesting end the process there, and half a UTF-16 pair
garbles what follows it.) No message holds a piece of the file, as the decoder's own errors do.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal
from zipfile import ZipFile

from bot.errors import SourceError, UnsafeFile
from bot.sources.base import Limits
from bot.sources.encoding import encoding_by_mark
from bot.sources.files import PostFile, reading

_DECODER = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"[ \t\r\n]*")
_CHUNK_BYTES = 1 << 17
_LONGEST_LITERAL = len("-Infinity")
_CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a JSON file the posts are."""

    holder: Literal["list", "map", "lines"]
    """A list of posts, an object with a post under each id, or one post after the other with nothing around them."""
    path: tuple[str, ...] = ()
    """The keys that lead to the list or object."""


def values_at(place: Place, stream: BinaryIO, name: str, limits: Limits) -> Iterator[tuple[str, object]]:
    """Each value at that place with its key, empty in a list.

    Raises SourceError for what is not JSON to its end, UnsafeFile for what is too deep or too large.
    """
    cursor = Cursor(stream, name, limits)
    if place.holder == "lines":
        while cursor.peek():
            yield "", cursor.value()
    else:
        yield from _values_inside(cursor, place.path)
        cursor.expect_end()


def _values_inside(cursor: Cursor, path: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    for key in cursor.entries():
        if not path:
            yield key, cursor.value()
        elif key == path[0] and cursor.peek() in _CLOSING:
            yield from _values_inside(cursor, path[1:])
        else:
            cursor.skip()


def fields_in(
    file: PostFile, names: Collection[str], limits: Limits, archive: ZipFile | None = None
) -> dict[str, object]:
    """These fields of the object that a file holds, whatever its size; none where it is no whole JSON object."""
    found: dict[str, object] = {}
    with reading(file, archive) as stream:
        cursor = Cursor(stream, file.name, limits)
        try:
            if cursor.peek() == "{":
                for key in cursor.entries():
                    if key in names:
                        found[key] = cursor.value()
                    else:
                        cursor.skip()
        except UnsafeFile:
            raise
        except SourceError:
            return {}
    return found


class TooLarge(UnsafeFile):
    """A value has more bytes than a record may have; the cursor still stands before it."""


class Cursor:
    """A place in a stream of JSON that moves on value by value."""

    def __init__(self, stream: BinaryIO, name: str, limits: Limits) -> None:
        start = stream.tell()
        mark = encoding_by_mark(stream.read(4)) if start == 0 else None
        stream.seek(start)
        self._stream = stream
        self._name = name
        self.limits = limits
        self._decoder = codecs.getincrementaldecoder(mark or "utf-8")()
        self._buffer = ""
        self._at = 0
        self._is_ended = False

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._is_ended:
                return ""
            self._read_on()

    def value(self) -> object:
        """The next value, whole. Raises TooLarge, SourceError where it is no JSON, UnsafeFile where it is too deep."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                # At the end of what was read it may go on; a string that does not end is told by where it begins.
                may_go_on = error.pos > len(self._buffer) - _LONGEST_LITERAL or error.msg.startswith("Unterminated")
                if self._is_ended or not may_go_on:
                    at_end = error.pos >= len(self._buffer.rstrip()) or error.msg.startswith("Unterminated")
                    raise self._not_json(is_cut_short=at_end) from None
            except RecursionError:
                raise self.too_deep() from None
            except ValueError:
                raise SourceError(
                    f"{self._name!r} holds a number of thousands of digits.", "Export it again."
                ) from None
            else:
                if end < len(self._buffer) or self._is_ended:
                    self._at = end
                    return value
            if len(self._buffer) - self._at > self.limits.max_record_bytes:
                most = self.limits.max_record_bytes
                raise TooLarge(
                    f"{self._name!r} holds one value of more than {most:,} bytes; a post has a few thousand.",
                    "Is this an export of posts? Give the file that holds them.",
                )
            self._read_on()

    def entries(self) -> Iterator[str]:
        """The keys of the object, or an empty text for each value of the list, that comes next.

        At each of them the cursor stands before its value, which is to be read or skipped before the next.
        """
        closing = _CLOSING.get(self.peek())
        if closing is None:
            raise self._not_json()
        self._at += 1
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield self._key() if closing == "}" else ""
            separator = self.peek()
            self._at += 1
            if separator == closing:
                return
            if separator != ",":
                raise self._not_json(is_cut_short=not separator)

    def skip(self, depth: int = 0) -> None:
        """Move past the next value, of any size, without holding it."""
        try:
            self.value()
        except TooLarge:
            if self.peek() not in _CLOSING:
                raise
            if depth > self.limits.max_depth:
                raise self.too_deep() from None
            for _ in self.entries():
                self.skip(depth + 1)

    def expect_end(self) -> None:
        """Raises SourceError where something comes after what was read."""
        if self.peek():
            raise self._not_json()

    def _key(self) -> str:
        key = self.value()
        if not isinstance(key, str) or self.peek() != ":":
            raise self._not_json(is_cut_short=not self.peek())
        self._at += 1
        return key

    def _read_on(self) -> None:
        """Drop what is behind the cursor, and read as much again as there is ahead of it."""
        ahead = self._buffer[self._at :]
        chunk = self._stream.read(max(_CHUNK_BYTES, len(ahead)))
        self._is_ended = not chunk
        try:
            self._buffer = ahead + self._decoder.decode(chunk, final=self._is_ended)
        except UnicodeDecodeError:
            raise self._not_json() from None
        self._at = 0

    def _not_json(self, *, is_cut_short: bool = False) -> SourceError:
        if is_cut_short:
            return SourceError(f"{self._name!r} ends in the middle: it was cut short.", "Export or download it again.")
        return SourceError(f"{self._name!r} is not valid JSON in UTF-8.", "Export it again, and do not edit it.")

    def too_deep(self) -> UnsafeFile:
        """The refusal of values that lie too deep inside each other."""
        return UnsafeFile(
            f"{self._name!r} is nested absurdly deep; an export of posts has about 8 levels.",
            "Give the file that holds the posts.",
        )
