"""Bluesky: a repository as the app exports it (CAR), or its records as JSON → drafts of posts.

A CAR file (https://ipld.io/specs/transport/car/carv1/) is a header and one block after another: its length as a varint,
its address (CID), its bytes as DAG-CBOR. Blocks that are `app.bsky.feed.post` are the posts, wherever they stand in the
tree. Blocks are read one at a time and checked against their addresses; `libipld` decodes them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import libipld

from bot.errors import SourceError, UnsafeFile
from bot.sources.base import Limits
from bot.sources.files import PostFile, admit, reading
from bot.sources.json_values import Place, values_at
from bot.sources.records import Draft, display_name, moment, storable

_POST, _PROFILE, _REPOST = "app.bsky.feed.post", "app.bsky.actor.profile", "app.bsky.feed.repost"
_RECORD_FILE = re.compile(r"(?:.*/)?app\.bsky\.(?:feed\.post|feed\.repost|actor\.profile)/[\w.~:-]+\.json")
_HEAD_BYTES = 256
_SHA256_CID = b"\x01\x71\x12\x20"  # version 1, dag-cbor, sha2-256, 32 bytes
_CID_BYTES = 36
_HEAD_OF_LIST = 4096


@dataclass(frozen=True, slots=True)
class Repository:
    display_name: str | None
    """A repository names its owner by a DID alone: whose handle that is, only the network knows."""
    drafts: Iterator[Draft]
    """Lazy: SourceError and UnsafeFile come from here, too."""


def is_repository(files: Sequence[PostFile]) -> bool:
    """Whether these are a CAR file, or records of Bluesky as JSON."""
    if len(files) == 1 and files[0].packed is None and not _RECORD_FILE.fullmatch(files[0].name):
        return _is_car(files[0]) or _is_list_of_records(files[0])
    return any(_RECORD_FILE.fullmatch(file.name) or _is_packed_car(file) for file in files)


def open_repository(files: Sequence[PostFile], limits: Limits) -> Repository:
    """The posts of a repository.

    Raises SourceError where several repositories lie in one folder, UnsafeFile as `admit` does.
    """
    cars = list(files) if len(files) == 1 and _is_car(files[0]) else [file for file in files if _is_packed_car(file)]
    if len(cars) > 1:
        raise SourceError("There are several repositories in it.", "Give one of the .car files.")
    parts = cars or [file for file in files if _RECORD_FILE.fullmatch(file.name)] or list(files)
    admit(parts, limits)
    name = next((_shown(record) for _, record in _records(parts, limits) if record.get("$type") == _PROFILE), None)
    return Repository(name, _drafts(parts, limits))


def draft(record: Mapping[str, object], id: str) -> Draft | None:
    """The post or repost that a record is; None for any other, such as a like."""
    time, kind = moment(record.get("createdAt")), record.get("$type")
    if kind == _REPOST:
        subject = record.get("subject")
        link = subject.get("uri") if isinstance(subject, Mapping) else None
        return Draft(f"RT {storable(link)}", id, created_at=time, kind="repost") if isinstance(link, str) else None
    text = record.get("text")
    if kind != _POST or not isinstance(text, str) or not storable(text).strip():
        return None
    embed = record.get("embed")
    embedded = str(embed.get("$type")) if isinstance(embed, Mapping) else ""
    is_quote = embedded.startswith("app.bsky.embed.record")
    return Draft(
        storable(text),
        id,
        created_at=time,
        kind="reply" if record.get("reply") else "quote" if is_quote else "post",
    )


def _drafts(parts: Sequence[PostFile], limits: Limits) -> Iterator[Draft]:
    return (found for id, record in _records(parts, limits) if (found := draft(record, id)))


def _records(parts: Sequence[PostFile], limits: Limits) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every record with its id: its CID in a CAR, its URI or CID in JSON."""
    for file in parts:
        if _is_car(file):
            yield from _blocks(file, limits)
            continue
        with reading(file) as stream:
            place = _place(stream.read(_HEAD_BYTES))
            stream.seek(0)
            own_id = file.name.rpartition("/")[2] if _RECORD_FILE.fullmatch(file.name) else ""
            for _, entry in values_at(place, stream, file.name, limits):
                record = entry.get("value", entry) if isinstance(entry, Mapping) else None
                if isinstance(entry, Mapping) and isinstance(record, Mapping):
                    id = entry.get("uri") or entry.get("cid") or own_id
                    yield (storable(id)[:200] if isinstance(id, str) else ""), record


def _place(head: bytes) -> Place:
    """Where records are: in a list, in what `com.atproto.repo.listRecords` answers, or one after another."""
    if re.match(rb"\s*\[", head):
        return Place("list")
    return Place("list", ("records",)) if re.match(rb'\s*\{\s*"(records|cursor)"', head) else Place("lines")


def _blocks(file: PostFile, limits: Limits) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every block of a CAR that is a map. Raises SourceError where one is cut short or is not what its CID says."""
    with reading(file) as stream:
        _block(stream, file.name, limits)  # the header
        while block := _block(stream, file.name, limits):
            cid, content = block[:_CID_BYTES], block[_CID_BYTES:]
            if not cid.startswith(_SHA256_CID):
                continue  # pictures and the like, by other hashes
            if hashlib.sha256(content).digest() != cid[len(_SHA256_CID) :]:
                raise _damaged(file.name)
            try:
                value = libipld.decode_dag_cbor(content)
            except (ValueError, RecursionError) as error:
                raise _damaged(file.name) from error
            if isinstance(value, dict):
                yield "b" + base64.b32encode(cid).decode().lower().rstrip("="), value


def _block(stream: BinaryIO, name: str, limits: Limits) -> bytes:
    """The next block; empty at the end."""
    length, shift = 0, 0
    while True:
        byte = stream.read(1)
        if not byte and shift == 0:
            return b""
        if not byte or shift > 63:
            raise _damaged(name)
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    if length > limits.max_record_bytes:
        raise UnsafeFile(
            f"{name!r} holds a block of {length:,} bytes; {limits.max_record_bytes:,} is the most that is read.",
            "Is this the export of a Bluesky account?",
        )
    block = stream.read(length)
    if len(block) < length or not block:
        raise _damaged(name)
    return block


def _damaged(name: str) -> SourceError:
    return SourceError(f"{name!r} is damaged, or was not downloaded whole.", "Export the repository again.")


def _is_packed_car(file: PostFile) -> bool:
    return file.suffix == ".car" and _is_car(file)


def _is_car(file: PostFile) -> bool:
    """By its header, a map of `roots` and `version`."""
    if file.is_link:
        return False
    with reading(file) as stream:
        head = stream.read(_HEAD_BYTES)
    return re.match(rb"[\x01-\x7f]\xa2(?:eroots|gversion)", head) is not None


def _is_list_of_records(file: PostFile) -> bool:
    if file.is_link or file.suffix != ".json":
        return False
    with reading(file) as stream:
        head = stream.read(_HEAD_OF_LIST)
    return re.search(rb'"\$type"\s*:\s*"app\.bsky\.', head) is not None and re.match(rb"\s*[\[{]", head) is not None


def _shown(profile: Mapping[str, object]) -> str | None:
    name = profile.get("displayName")
    return display_name(name) or None if isinstance(name, str) else None
