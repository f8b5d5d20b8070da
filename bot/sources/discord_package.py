"""Discord's data package, as its owner asks Discord for it → drafts of what they wrote.

Folders are named in the language of the client (`Messages`, `Nachrichten`, `メッセージ`), so they are found by what is
below them: `c<id>/messages.json`, or `messages.csv` until March 2024, beside a `channel.json`. The package holds its
owner's own messages and nobody else's. What they wrote to a person or a group, and not on a server, is left out unless
asked for; so is a channel that does not say what it is. Layout: `../shared/specs/DISCORD.md`, section 11.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from bot.errors import NoPosts, SourceError
from bot.sources.archive import Archive, Owner
from bot.sources.base import Limits
from bot.sources.files import PostFile, admit, reading
from bot.sources.json_values import Cursor, Place, fields_in, values_at
from bot.sources.records import Draft, display_name, moment, storable

_MESSAGES = re.compile(r"(?P<root>(?:[^/]+/)*?)(?P<folder>[^/]+/)?c?\d{16,20}/messages\.(?:json|csv)")
_ID = re.compile(r"\d{1,20}")
_HANDLE = re.compile(r"[\w.-]{1,64}")


def is_package(files: Sequence[PostFile]) -> bool:
    """Whether these are a data package's files, by their names."""
    return any(_MESSAGES.fullmatch(file.name) for file in files)


def open_package(files: Sequence[PostFile], limits: Limits, *, direct_messages: bool = False) -> Archive:
    """The owner and the messages of a package.

    Raises NoPosts where only direct messages are there, UnsafeFile as `admit` does.
    """
    parts = [file for file in files if _MESSAGES.fullmatch(file.name)]
    beside = {file.name: file for file in files if file.name.endswith("/channel.json")}
    users = [file for file in files if _is_users(file.name, parts[0].name)]
    admit([*parts, *beside.values(), *users], limits)
    owner = next((found for file in users if (found := _owner_in(file, limits)).handle), Owner())
    return Archive(owner, _drafts(parts, beside, limits, direct_messages))


def _is_users(name: str, part: str) -> bool:
    """`Account/user.json` of the same package; files of that name also lie deeper, under activities."""
    match = _MESSAGES.fullmatch(part)
    root = match["root"] if match else ""
    return re.fullmatch(re.escape(root) + r"[^/]+/user\.json", name) is not None


def _drafts(
    parts: Sequence[PostFile], beside: Mapping[str, PostFile], limits: Limits, direct_messages: bool
) -> Iterator[Draft]:
    """What was written, channel by channel; one open zip serves them all, for there may be thousands."""
    left_out, found = 0, False
    with ExitStack() as stack:
        zipped = isinstance(parts[0].packed, ZipInfo)
        try:
            archive = stack.enter_context(ZipFile(parts[0].path)) if zipped else None
        except BadZipFile as error:
            raise SourceError(f"{parts[0].path.name} is damaged.", "Download it again.") from error
        for file in parts:
            channel = beside.get(str(PurePosixPath(file.name).with_name("channel.json")))
            if not direct_messages and not (channel and _is_on_a_server(channel, limits, archive)):
                left_out += 1
                continue
            for draft in _messages(file, limits, archive):
                found = True
                yield draft
    if left_out and not found:
        raise NoPosts(
            f"The package holds only direct messages, {left_out:,} conversations of them, and these are left out.",
            "Set consent.direct_messages = true in config.toml if its owner wants them to be learned from.",
        )


def _is_on_a_server(channel: PostFile, limits: Limits, archive: ZipFile | None) -> bool:
    """Whether a channel belongs to a server and to no conversation."""
    about = fields_in(channel, ("guild", "recipients"), limits, archive)
    return isinstance(about.get("guild"), Mapping) and not about.get("recipients")


def _messages(file: PostFile, limits: Limits, archive: ZipFile | None) -> Iterator[Draft]:
    with reading(file, archive) as stream:
        if file.suffix == ".csv":
            yield from _table(file.name, (line.decode("utf-8-sig", "replace") for line in stream), limits)
            return
        cursor = Cursor(stream, file.name, limits)
        if cursor.peek() != "[":
            return  # empty files happened in 2021
    with reading(file, archive) as stream:
        for _, value in values_at(Place("list"), stream, file.name, limits):
            if isinstance(value, Mapping) and (found := _draft(value)):
                yield found


def _table(name: str, lines: Iterator[str], limits: Limits) -> Iterator[Draft]:
    try:
        yield from (found for row in csv.DictReader(_bounded(name, lines, limits)) if (found := _draft(row)))
    except csv.Error:
        raise SourceError(
            f"{name!r} has a field of more than {csv.field_size_limit():,} characters.", "Download the package again."
        ) from None


def _bounded(name: str, lines: Iterator[str], limits: Limits) -> Iterator[str]:
    for line in lines:
        if len(line) > limits.max_record_bytes:
            raise SourceError(f"{name!r} has an endless line.", "Download the package again.")
        yield line


def _draft(record: Mapping[object, object]) -> Draft | None:
    fields = {str(name).strip().lower(): value for name, value in record.items()}
    text, id = fields.get("contents"), str(fields.get("id", "")).strip()
    if not isinstance(text, str) or not storable(text).strip():
        return None
    return Draft(storable(text), id=id if _ID.fullmatch(id) else "", created_at=moment(fields.get("timestamp")))


def _owner_in(file: PostFile, limits: Limits) -> Owner:
    about = fields_in(file, ("username", "global_name"), limits)
    handle, shown = about.get("username"), about.get("global_name")
    return Owner(
        handle if isinstance(handle, str) and _HANDLE.fullmatch(handle) else None,
        display_name(shown) or None if isinstance(shown, str) else None,
    )
