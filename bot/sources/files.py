"""The files that a person handed over: one file, a folder, a zip or a tar, listed and read without trusting any of it.

Nothing is ever unpacked to disk, no link is followed, and nothing is read before its size, its compression and its
kind are known. A zip inside a zip is a file like any other: it is not opened.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tarfile import TarInfo
from typing import BinaryIO, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from bot.errors import NoPosts, SourceError, UnsafeFile
from bot.sources import tars
from bot.sources.base import MIB, Limits

_SUFFIXES = (".js", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".xml", ".car")
_ENCRYPTED = 1
_DIRECTORY_BYTES_A_MEMBER = 160
_END_OF_DIRECTORY, _END_OF_DIRECTORY_64, _LOCATOR_64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_BROKEN_HINT = "Download it again, or pack the files anew."
_UNPACK_HINT = "Unpack it yourself and give the folder, or download the archive again."


@dataclass(frozen=True, slots=True)
class PostFile:
    """One file, alone or in a folder or zip."""

    name: str
    """Its path inside what was handed over, with `/`."""
    path: Path
    """Where it lies on disk; for a file in a zip, where the zip lies."""
    size_bytes: int
    packed: ZipInfo | TarInfo | None = None
    is_link: bool = False

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()


def list_files(path: Path, limits: Limits) -> list[PostFile]:
    """All files behind a path that may hold posts, by name. A link that the person names is followed, others are not.

    Raises SourceError where there is nothing to read, UnsafeFile for what is no file of posts at all.
    """
    try:
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
        if stat.S_ISDIR(mode):
            return sorted(_walk(real, limits), key=lambda file: file.name)
        if not stat.S_ISREG(mode):
            raise UnsafeFile(f"{path.name} is a device or a pipe, not a file.", "Give a file, a zip or a folder.")
        size = real.stat().st_size
        if size == 0:
            raise NoPosts(f"{path.name} is empty.", "Download or export it again.")
        with real.open("rb") as stream:
            head = stream.read(512)
        if head[:4] in (b"PK\3\4", _END_OF_DIRECTORY):
            return sorted(_members(real, limits), key=lambda file: file.name)
        if tars.is_tar(head):
            return sorted(_tar_members(real, limits), key=lambda file: file.name)
        if path.suffix.lower() == ".zip":
            raise SourceError(f"{path.name} is no zip, or a broken one: it does not begin as zips do.", _BROKEN_HINT)
        return [PostFile(path.absolute().name, real, size)]
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise SourceError(f"There is no file {path}.", "Check the name; a path with spaces needs quotes.") from None
    except OSError as error:
        raise SourceError(f"{path.name} cannot be read: {error.strerror}.", "Check its permissions.") from error


def admit(files: Sequence[PostFile], limits: Limits) -> None:
    """Allow these files to be read. Raises UnsafeFile, or SourceError for an encrypted one."""
    total = 0
    for file in files:
        total += file.size_bytes
        most = limits.max_member_bytes if file.packed else limits.max_file_bytes
        if file.is_link:
            raise UnsafeFile(f"{file.name!r} is a link, and links are not followed.", "Put the file itself there.")
        if file.size_bytes > most:
            raise UnsafeFile(
                f"{file.name!r} has {file.size_bytes / MIB:,.0f} MiB; {most / MIB:,.0f} MiB is the most that is read.",
                "If it is genuine, split it into several files in one folder.",
            )
        if isinstance(file.packed, ZipInfo):
            _admit_packed(file.name, file.packed, limits)
    if total > limits.max_total_bytes:
        raise UnsafeFile(
            f"The files to read have {total / MIB:,.0f} MiB together; {limits.max_total_bytes / MIB:,.0f} MiB is the "
            "most that is read.",
            "Import them in several parts.",
        )
    twice = [name for name, count in Counter(file.name for file in files).items() if count > 1]
    if twice:
        raise UnsafeFile(f"The zip holds {twice[0]!r} twice, and only one can be right.", _UNPACK_HINT)


@contextmanager
def reading(file: PostFile, archive: ZipFile | None = None) -> Iterator[BinaryIO]:
    """The file's bytes, as a stream that can seek. Raises SourceError where they cannot be read whole.

    `archive` is the zip it lies in, where that is open already.
    """
    try:
        if file.packed is None:
            with open(file.path, "rb", opener=_open_without_waiting) as stream:
                yield stream
        elif isinstance(file.packed, TarInfo):
            with tars.reading(file.path, file.packed) as stream:
                yield stream
        elif archive is not None:
            with _unpacked(archive, file.packed) as member:
                yield member
        else:
            with ZipFile(file.path) as opened, _unpacked(opened, file.packed) as member:
                yield member
    except (BadZipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{file.name!r} is damaged inside {file.path.name}.", "Download the zip again.") from error
    except OSError as error:
        raise SourceError(f"{file.name!r} cannot be read: {error.strerror}.", "Check its permissions.") from error


def _unpacked(archive: ZipFile, packed: ZipInfo) -> BinaryIO:
    try:
        return cast(BinaryIO, archive.open(packed))
    except (RuntimeError, ValueError, struct.error) as error:  # a password, a method that zipfile lacks, a broken name
        raise SourceError(
            f"{packed.filename!r} is locked by a password, or packed in a way that Mynah does not know.", _UNPACK_HINT
        ) from error


def _open_without_waiting(path: str, flags: int) -> int:
    """So that a link or a pipe, put in a file's place after it was listed, is not opened."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def _walk(folder: Path, limits: Limits) -> Iterator[PostFile]:
    found = 0
    pending = [folder]
    while pending:
        here = pending.pop()
        if len(here.parts) - len(folder.parts) > limits.max_depth:
            raise UnsafeFile(
                f"{folder.name} has folders more than {limits.max_depth} deep.", "Give the innermost folder."
            )
        with os.scandir(here) as entries:
            for entry in entries:
                found += 1
                if found > limits.max_members:
                    raise UnsafeFile(
                        f"{folder.name} holds more than {limits.max_members:,} files.",
                        "Give the folder that holds the posts, not one above it.",
                    )
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif not _may_hold_posts(entry.name):
                    continue
                elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                    name = Path(entry.path).relative_to(folder).as_posix()
                    size = entry.stat(follow_symlinks=False).st_size
                    yield PostFile(name, Path(entry.path), size, is_link=entry.is_symlink())


def _may_hold_posts(name: str) -> bool:
    """An archive's many pictures and videos are not even remembered."""
    return name.lower().endswith(_SUFFIXES)


def _members(path: Path, limits: Limits) -> Iterator[PostFile]:
    """The files of a zip, once its directory is known to be small enough to be read and its names to be harmless."""
    directory_bytes = _directory_bytes(path)
    if directory_bytes > limits.max_members * _DIRECTORY_BYTES_A_MEMBER:
        raise UnsafeFile(
            f"The list of files in {path.name} has {directory_bytes / MIB:,.0f} MiB, more than "
            f"{limits.max_members:,} files need.",
            _UNPACK_HINT,
        )
    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
    except (BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise SourceError(f"{path.name} is damaged or was not downloaded whole.", "Download it again.") from error
    if len(members) > limits.max_members:
        raise UnsafeFile(
            f"{path.name} holds {len(members):,} files; {limits.max_members:,} is the most that is read.", _UNPACK_HINT
        )
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
            raise _leads_out(path, name)
        if not member.is_dir() and _may_hold_posts(name):
            yield PostFile(name, path, member.file_size, member, stat.S_ISLNK(member.external_attr >> 16))


def _tar_members(path: Path, limits: Limits) -> Iterator[PostFile]:
    """The files of a tar. One that is not there whole is refused, so that no post is missed."""
    for member in tars.members(path, limits):
        name = member.name.removeprefix("./")
        if name.startswith("/") or ".." in name.split("/"):
            raise _leads_out(path, name)
        if _may_hold_posts(name):
            yield PostFile(name, path, member.size, member, is_link=not member.isfile())


def _leads_out(path: Path, name: str) -> UnsafeFile:
    return UnsafeFile(
        f"{path.name} holds a file whose name leads out of it ({name[:80]!r}).",
        "No real archive does. Download it again from where it was made.",
    )


def _directory_bytes(path: Path) -> int:
    """The size that a zip declares for its list of files: `zipfile` would read that much at once.

    Layout: APPNOTE.TXT of PKWARE, 4.3.14 to 4.3.16. Raises SourceError where the zip's end is missing.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - (1 << 16) - 22))
        tail = stream.read()
        end = tail.rfind(_END_OF_DIRECTORY)
        if end < 0 or len(tail) < end + 22:
            raise SourceError(f"{path.name} is a zip that was cut short.", "Download it again.")
        (declared,) = cast(tuple[int], struct.unpack_from("<L", tail, end + 12))
        locator = tail[max(0, end - 20) : end]
        if len(locator) == 20 and locator.startswith(_LOCATOR_64):
            stream.seek(struct.unpack_from("<Q", locator, 8)[0] % (size + 1))
            record = stream.read(56)
            if len(record) == 56 and record.startswith(_END_OF_DIRECTORY_64):
                (declared,) = cast(tuple[int], struct.unpack_from("<Q", record, 40))
        return min(declared, size)


def _admit_packed(name: str, packed: ZipInfo, limits: Limits) -> None:
    if packed.flag_bits & _ENCRYPTED:
        raise SourceError(f"{name!r} is encrypted.", "Unpack the zip with its password and give the folder.")
    # Others can unpack to any size at once, before it can be counted.
    if packed.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise UnsafeFile(f"{name!r} is packed with a method that archives do not use.", _UNPACK_HINT)
    if packed.file_size > MIB and packed.file_size > limits.max_ratio * packed.compress_size:
        raise UnsafeFile(
            f"{name!r} would unpack to {packed.file_size / MIB:,.0f} MiB from {packed.compress_size / MIB:,.2f} MiB, "
            f"more than {limits.max_ratio} times its size.",
            _UNPACK_HINT,
        )
