"""An X archive, as its owner downloads it → drafts of posts.

A zip or the unpacked folder, its `data` folder, or one of its files alone. Layouts: `data/tweets.js` with
`tweets-part1.js` and on (since 2022), `tweet.js` (2018 to 2021), `data/js/tweets/2014_01.js` (before). Posts that the
owner deleted (`deleted-tweets.js`) are not read. Links and `&amp;` stay as they are: cleaning is the trainer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import PurePosixPath
from typing import BinaryIO

from bot.errors import SourceError
from bot.sources.archive import Archive, Owner
from bot.sources.base import Limits
from bot.sources.files import PostFile, admit, reading
from bot.sources.json_values import Place, values_at
from bot.sources.records import Draft, display_name, draft
from bot.sources.x_notes import LongPosts

_PARTS = re.compile(r"(?:(.*)/)?(?:(?:tweets?|community-tweet)(?:-part(\d+))?\.js|js/tweets/\d{4}_\d\d\.js)")
_NOTES = re.compile(r"(?:.*/)?note-tweet(?:-part\d+)?\.js")
_ASSIGNMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:var\s+)?([\w.]{1,80})\s*=\s*")
_POSTS_ASSIGNED = re.compile(r"window\.YTD\.(tweets?|community_tweet)\.part\d+|Grailbird\.data\.tweets_\d{4}_\d\d")
_HANDLE = re.compile(r"\w{1,64}")
_OWN_STATUS = re.compile(r"(?:twitter|x)\.com/(\w{1,64})/status/(\d+)")
_HEAD_BYTES = 256
_EVIDENCE_POSTS = 5_000
_SURE_FROM = 2


def is_archive(files: Sequence[PostFile]) -> bool:
    """Whether these are an X archive's files: by their names, or one file by how it begins."""
    if len(files) == 1 and files[0].packed is None:
        with reading(files[0]) as stream:
            match = _ASSIGNMENT.match(stream.read(_HEAD_BYTES))
        return match is not None and _POSTS_ASSIGNED.fullmatch(match[1].decode("ascii", "replace")) is not None
    return any(_PARTS.fullmatch(file.name) for file in files)


def open_archive(files: Sequence[PostFile], limits: Limits) -> Archive:
    """The owner and the posts of an archive.

    Raises SourceError where the folder or zip holds several archives or one is damaged, UnsafeFile as `admit` does.
    """
    parts = sorted((file for file in files if _PARTS.fullmatch(file.name)), key=_part_order) or list(files)
    root = _only_root(parts) if len(files) > 1 else ""
    notes = [file for file in files if _NOTES.fullmatch(file.name) and _folder(file) == root]
    about = [file for name in ("account.js", "manifest.js") for file in files if file.name == _joined(root, name)]
    admit(notes, replace(limits, max_file_bytes=limits.max_notes_bytes, max_member_bytes=limits.max_notes_bytes))
    admit([*parts, *notes, *about], limits)
    long_posts = LongPosts(value for file in notes for value in _values(file, limits))
    owner = next((found for file in about if (found := _owner_named_in(file, limits)).handle), None)
    if owner is None:
        owner = Owner(_handle_by_evidence(value for file in parts for value in _values(file, limits)))
    return Archive(owner, _drafts(parts, owner.handle or "", long_posts, limits))


def _drafts(parts: Sequence[PostFile], author: str, long_posts: LongPosts, limits: Limits) -> Iterator[Draft]:
    for file in parts:
        for value in _values(file, limits):
            if found := draft(value, guesses_replies=False):
                yield replace(found, text=long_posts.whole_text(found), author=author)


def _values(file: PostFile, limits: Limits) -> Iterator[object]:
    """The list that a file assigns to its variable."""
    with reading(file) as stream:
        _skip_assignment(stream, file.name)
        for _, value in values_at(Place("list"), stream, file.name, limits):
            yield value


def _skip_assignment(stream: BinaryIO, name: str) -> None:
    match = _ASSIGNMENT.match(stream.read(_HEAD_BYTES))
    if match is None:
        raise SourceError(
            f"{name!r} does not begin as a file of an X archive does.",
            "Download the archive again, and do not edit it.",
        )
    stream.seek(match.end())


def _folder(file: PostFile) -> str:
    return PurePosixPath(file.name).parent.as_posix().removeprefix(".")


def _joined(root: str, name: str) -> str:
    return f"{root}/{name}" if root else name


def _root(part: PostFile) -> str:
    match = _PARTS.fullmatch(part.name)
    return (match[1] or "") if match else ""


def _part_order(part: PostFile) -> tuple[int, str]:
    match = _PARTS.fullmatch(part.name)
    return int(match[2] or 0) if match else 0, part.name


def _only_root(parts: Sequence[PostFile]) -> str:
    roots = sorted({_root(part) for part in parts})
    if len(roots) > 1:
        raise SourceError(
            f"There are {len(roots)} archives here, in {' and '.join(repr(root or '.') for root in roots[:4])}.",
            "Give one of them; the others can be imported after it.",
        )
    return roots[0]


def _owner_named_in(file: PostFile, limits: Limits) -> Owner:
    """The owner in `account.js` (a list with one account) or `manifest.js` (an object with `userInfo`)."""
    with reading(file) as stream:
        _skip_assignment(stream, file.name)
        for _, value in values_at(Place("lines"), stream, file.name, limits):
            entry = value[0] if isinstance(value, list) and value else value
            for key, handle, name in (
                ("account", "username", "accountDisplayName"),
                ("userInfo", "userName", "displayName"),
            ):
                info = entry.get(key) if isinstance(entry, dict) else None
                if isinstance(info, dict) and _HANDLE.fullmatch(str(info.get(handle, ""))):
                    return Owner(str(info[handle]), display_name(str(info.get(name) or "")) or None)
    return Owner()


def _handle_by_evidence(values: Iterator[object]) -> str | None:
    """The handle in the links of the owner's own pictures, which X writes as `twitter.com/HANDLE/status/OWN-ID`.

    None unless at least two posts say so and all say the same: a person may have changed it.
    """
    handles: list[str] = []
    for value in islice(values, _EVIDENCE_POSTS):
        post = value.get("tweet", value) if isinstance(value, dict) else None
        if not isinstance(post, dict):
            continue
        entities = post.get("entities")
        media = entities.get("media") if isinstance(entities, dict) else None
        for picture in media if isinstance(media, list) else []:
            match = _OWN_STATUS.search(str(picture.get("expanded_url"))) if isinstance(picture, dict) else None
            if match and match[2] == post.get("id_str"):
                handles.append(match[1])
    return handles[0] if len(handles) >= _SURE_FROM and len(set(handles)) == 1 else None
