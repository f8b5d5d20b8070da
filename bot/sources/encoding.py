"""Bytes of a text or CSV file → lines, whatever program saved them.

UTF-8 and, with its mark, UTF-16 or UTF-32 are read as they are. Anything else is read only where it is sure what it
is: Windows (cp1252) or old Mac (Mac Roman), also where UTF-8 was once read as one of them and saved again, as old
Excel does. Such mojibake is undone with ftfy (https://ftfy.readthedocs.io).
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

import ftfy

from bot.errors import SourceError, UnsafeFile
from bot.sources.base import Limits
from bot.sources.files import PostFile, reading

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_WIDE_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
_SAMPLE_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
_SURELY_MENDED, _SURELY_WRITTEN = 0.3, 0.9
_SAVE_HINT = "Save it as UTF-8 in the program that made it."

# Mac Roman lacks these cp1252 signs: saving wrote _ for them, or a letter on the same byte.
_LOST_IN_MAC_ROMAN = {"_Ÿ": "ðŸ", "â€_": "â€¦", "â€ù": "â€\x9d", "ï¸è": "ï¸\x8f"}
# Signs of which a byte is lost for good, nearly all of them pictures.
_REMNANT = re.compile(r"ðŸ[_\x80-\uffff]{0,2}|â[_\x80-\uffff]{2}|ï¸\x8f?")
_LIKELY = re.compile(r"[à-öø-ÿœšž’‘“”–—…•«»¡¿€£°´§\xa0]|(?<![a-zà-ÿ])[À-ÖØ-ÞŒŠŽ]")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to read a file's bytes as text."""

    encoding: str
    table: dict[int, str] | None = None
    """What each byte stands for where no single encoding says so; the file is then read as latin-1."""
    is_mojibake: bool = False


def encoding_by_mark(head: bytes) -> str | None:
    """The encoding that a byte-order mark names."""
    for mark, encoding in (_WIDE_MARKS | _MARKS).items():
        if head.startswith(mark):
            return encoding
    return None


def lines(file: PostFile, limits: Limits) -> Iterator[str]:
    """The file's lines with their ends.

    Raises SourceError where the encoding is unsure or the file is not text, UnsafeFile for an endless line.
    """
    decoding = _decoding(file)
    with reading(file) as stream, io.TextIOWrapper(stream, decoding.encoding, newline="") as text:
        number = 0
        try:
            while line := text.readline(limits.max_record_bytes):
                number += 1
                if len(line) >= limits.max_record_bytes:
                    raise UnsafeFile(
                        f"Line {number:,} of {file.name!r} has more than {limits.max_record_bytes:,} characters.",
                        "A file of posts has short lines. Is this another kind of file?",
                    )
                if decoding.table:
                    line = line.translate(decoding.table)
                yield _undo_mojibake(line) if decoding.is_mojibake else line
        except UnicodeDecodeError:
            # The exception holds the text, which must not reach a log.
            raise SourceError(f"{file.name!r} has damaged characters after line {number:,}.", _SAVE_HINT) from None


def _undo_mojibake(text: str) -> str:
    """`campaignâ€_` → `campaign…`."""
    for damaged, whole in _LOST_IN_MAC_ROMAN.items():
        text = text.replace(damaged, whole)
    return _REMNANT.sub("", ftfy.fix_encoding(text))


def _decoding(file: PostFile) -> Decoding:
    with reading(file) as stream:
        if marked := encoding_by_mark(stream.read(4)):
            return Decoding(marked)
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := stream.read(_CHUNK_BYTES):
                if b"\0" in chunk:
                    raise SourceError(
                        f"{file.name!r} is not a text file.",
                        "Known kinds: an X archive (zip or folder), JSON, CSV, and text with one post a line.",
                    )
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            stream.seek(0)
            return _guess(file.name, _foreign_lines(iter(lambda: stream.readline(_CHUNK_BYTES), b"")))
    return Decoding("utf-8")


def _foreign_lines(lines: Iterator[bytes]) -> bytes:
    sample = bytearray()
    for line in lines:
        if not line.isascii():
            sample += line
        if len(sample) > _SAMPLE_BYTES:
            break
    return bytes(sample)


def _guess(name: str, sample: bytes) -> Decoding:
    damaged = sample.decode("utf-8", "replace")
    broken = damaged.count("�")
    if len(_foreign(damaged)) > 5 * broken:
        raise SourceError(f"{name!r} is UTF-8 with at least {broken:,} damaged characters.", _SAVE_HINT)
    known = [table for table in (_byte_table("cp1252"), _byte_table("mac_roman")) if "�" not in _read(sample, table)]
    mended, table = max(((_mended_share(_read(sample, t)), t) for t in [*known, _twice_mac()]), key=itemgetter(0))
    if mended > _SURELY_MENDED:
        return Decoding("latin-1", table, is_mojibake=True)
    likely, table = max(((_likely_share(_read(sample, t)), t) for t in known), key=itemgetter(0))
    if likely > _SURELY_WRITTEN:
        return Decoding("latin-1", table)
    raise SourceError(f"{name!r} is neither UTF-8 nor surely any other encoding.", _SAVE_HINT)


def _read(sample: bytes, table: dict[int, str]) -> str:
    return sample.decode("latin-1").translate(table)


def _foreign(text: str) -> str:
    return "".join(sign for sign in text if ord(sign) > 127)


def _mended_share(text: str) -> float:
    """The share of non-ASCII signs that go away when mojibake is undone: each was a part of another sign."""
    mended = "\n".join(_undo_mojibake(line) for line in text.split("\n"))
    return 1 - len(_foreign(mended)) / max(1, len(_foreign(text)))


def _likely_share(text: str) -> float:
    """The share of non-ASCII signs that people write: letters in their place and punctuation."""
    return len(_LIKELY.findall(text)) / max(1, len(_foreign(text)))


def _byte_table(encoding: str) -> dict[int, str]:
    return {byte: bytes([byte]).decode(encoding, "replace") for byte in range(128, 256)}


def _twice_mac() -> dict[int, str]:
    """Mac Roman that was read as cp1252 and saved as Mac Roman once more."""
    once = _byte_table("mac_roman")
    return {
        byte: sign.encode("cp1252").decode("mac_roman") if sign.encode("cp1252", "ignore") else sign
        for byte, sign in once.items()
    }
