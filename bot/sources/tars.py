"""A tar, packed with gzip or not: its files listed and read without unpacking any of them to disk.

A tar has no list of its files: it is walked through once, every byte of it, and the walk ends where it becomes absurd.
`tarfile` reads the headers that name long paths at once, whatever size they claim; here they may have 64 KiB.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import BinaryIO, cast

from bot.errors import SourceError, UnsafeFile
from bot.sources.base import MIB, Limits

GZIP_MARK = b"\x1f\x8b"
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_MOST_HEADER_BYTES = 64 * 1024
_HINT = "Unpack it yourself and give the folder, or download the archive again."


def is_tar(head: bytes) -> bool:
    """Whether a file that begins so (512 bytes) is a tar or gzip, which may hold one."""
    return head.startswith(GZIP_MARK) or head[_TAR_MARK_AT : _TAR_MARK_AT + len(_TAR_MARK)] == _TAR_MARK


def members(path: Path, limits: Limits) -> Iterator[TarInfo]:
    """Its files and links, in its order.

    Raises SourceError for what is no whole tar, UnsafeFile for one that unpacks to far more than it should.
    """
    most = max(limits.max_ratio * path.stat().st_size, MIB)
    found, offset = 0, -1
    with (
        _bytes_of(path) as stream,
        _whole(path),
        _opened(_Walk(stream, path.name, min(most, limits.max_tar_bytes))) as tar,
    ):
        for member in tar:
            found += 1
            if found > limits.max_members or member.offset <= offset:
                raise UnsafeFile(f"{path.name} holds more than {limits.max_members:,} files.", _HINT)
            offset = member.offset
            tar.members = []  # type: ignore[attr-defined] # it would remember every one
            if member.isfile() or member.issym() or member.islnk():
                yield member


@contextmanager
def reading(path: Path, member: TarInfo) -> Iterator[BinaryIO]:
    """One file's bytes. Raises SourceError where they cannot be read whole."""
    with _whole(path), _bytes_of(path) as stream, _opened(stream) as tar:
        content = tar.extractfile(member)
        if content is None:
            raise SourceError(f"{member.name!r} is no file inside {path.name}.", _HINT)
        with content:
            yield cast(BinaryIO, content)


class _Walk(io.RawIOBase):
    """A stream that is walked through and never read in large pieces."""

    def __init__(self, stream: BinaryIO, name: str, most_bytes: int) -> None:
        self._stream = stream
        self._name = name
        self._most_bytes = most_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER_BYTES:
            raise UnsafeFile(f"{self._name} names a file in more than {_MOST_HEADER_BYTES:,} bytes.", _HINT)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence != 0 or not 0 <= offset <= self._most_bytes:
            raise UnsafeFile(
                f"{self._name} would unpack to more than {self._most_bytes / MIB:,.0f} MiB, which is too much.", _HINT
            )
        return self._stream.seek(offset)


@contextmanager
def _bytes_of(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MARK
        file.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(BinaryIO, stream)
        else:
            yield file


def _opened(stream: BinaryIO | _Walk) -> TarFile:
    return tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:", bufsize=tarfile.RECORDSIZE)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(
            f"{path.name} is no whole tar archive: it is damaged, or was not downloaded whole.", "Download it again."
        ) from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise UnsafeFile(f"{path.name} is no tar archive that a program would write.", _HINT) from error
