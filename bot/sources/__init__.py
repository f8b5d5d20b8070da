"""A file of posts → one person's posts. What a file is, is seen in it; its name is only a hint.

`open_source` is all that the rest of the bot calls. Every file is a stranger's: see `base.Limits` for how much of it is
read, and `files` for what is never done with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from bot.errors import NoPosts, SourceError, UnsafeFile
from bot.sources import bluesky, csv_posts, discord_package, json_posts, mastodon_archive, text_posts, x_archive
from bot.sources.base import Limits, Source
from bot.sources.encoding import encoding_by_mark
from bot.sources.files import PostFile, admit, list_files, reading
from bot.sources.records import ContentIds, Draft
from storage.posts import Post

__all__ = ["Limits", "Source", "open_source"]

DEFAULT_LIMITS = Limits()
_HEAD_BYTES = 4096
_HEAD_DRAFTS = 500
_JSON_START = re.compile(r"\s*[\[{]")
_SURELY_JSON_START = re.compile(r"\s*(\[\s*[{\"]|\{\s*\")")
_JSON_NAMES = {".json", ".jsonl", ".ndjson"}
_TABLE_NAMES = {".csv", ".tsv"}
_KINDS_HINT = (
    "Known kinds: an archive of X, Mastodon or Bluesky, Discord's data package, JSON, CSV, and text with one post a "
    "line."
)
ARCHIVES = frozenset({"x_archive", "discord_package", "mastodon_archive", "bluesky"})
"""Kinds that hold one account's posts alone; all but Bluesky's, which is public, only the person can download."""
_READERS: dict[str, Callable[[PostFile, Limits], Iterator[Draft]]] = {
    "json": json_posts.drafts,
    "csv": csv_posts.drafts,
    "text": text_posts.drafts,
}


def open_source(
    path: Path, *, author: str | None = None, limits: Limits = DEFAULT_LIMITS, direct_messages: bool = False
) -> Source:
    """The posts of one person in a file, a zip or a folder.

    `author` is the person's handle: the name for posts that have none, and whom to keep where a file holds several.
    `direct_messages` takes what a Discord package holds of conversations, too.
    Raises SourceError for what cannot be read, UnsafeFile for what should not be, NoPosts for what holds none.
    """
    name = path.absolute().name
    files = list_files(path, limits)
    handle = author.strip().removeprefix("@") if author else None
    if archive := _archive(files, limits, direct_messages):
        owner = archive.handle or handle
        drafts, _ = _peek(archive.drafts, name)
        return Source(archive.kind, owner, archive.display_name, _posts(drafts, archive.kind, owner, limits))
    chosen = _choose(files, name)
    admit(chosen, limits)
    kinds = sorted({_kind(file, limits) for file in chosen})
    if len(kinds) > 1:
        raise SourceError(f"{name} holds files of several kinds ({', '.join(kinds)}).", "Give one of the files.")
    if kinds == ["text"] and not _is_alone(files, name) and not text_posts.looks_like_posts(chosen[0], limits):
        raise NoPosts(
            f"{chosen[0].name!r} in {name} does not look like posts, one a line.",
            f"If it is, give that file itself. {_KINDS_HINT}",
        )
    drafts, head = _peek(_drafts(chosen, _READERS[kinds[0]], limits), name)
    person = _only_person(head, name, handle)
    posts = _posts(_of_person(drafts, person, name), kinds[0], person.handle or handle, limits)
    return Source(kinds[0], person.handle or handle, person.display_name, posts)


@dataclass(frozen=True, slots=True)
class _Archive:
    """One account's posts, as its platform hands them out."""

    kind: str
    handle: str | None
    display_name: str | None
    drafts: Iterator[Draft]


def _archive(files: Sequence[PostFile], limits: Limits, direct_messages: bool) -> _Archive | None:
    """The archive that the files are; None where they are anything else."""
    if x_archive.is_archive(files):
        x = x_archive.open_archive(files, limits)
        return _Archive("x_archive", x.owner.handle, x.owner.display_name, x.drafts)
    if discord_package.is_package(files):
        package = discord_package.open_package(files, limits, direct_messages=direct_messages)
        return _Archive("discord_package", package.owner.handle, package.owner.display_name, package.drafts)
    if mastodon_archive.is_archive(files):
        mastodon = mastodon_archive.open_archive(files, limits)
        return _Archive("mastodon_archive", mastodon.owner.handle, mastodon.owner.display_name, mastodon.drafts)
    if bluesky.is_repository(files):
        repository = bluesky.open_repository(files, limits)
        return _Archive("bluesky", None, repository.display_name, repository.drafts)
    return None


def _is_alone(files: Sequence[PostFile], name: str) -> bool:
    """Whether one file was handed over, and no folder or zip."""
    return len(files) == 1 and files[0].packed is None and files[0].name == name


def _choose(files: Sequence[PostFile], name: str) -> list[PostFile]:
    """The files that may hold posts: all JSON and CSV files of a folder or zip, or the only text in it."""
    if _is_alone(files, name):
        return list(files)
    files = [file for file in files if not re.search(r"(^|/)(\.|__MACOSX/)", file.name)]
    chosen = [file for file in files if file.suffix in _JSON_NAMES | _TABLE_NAMES]
    if not chosen:
        chosen = [file for file in files if file.suffix == ".txt"]
    if len(chosen) > 1 and chosen[0].suffix == ".txt":
        raise SourceError(f"{name} holds {len(chosen)} text files.", "Give the one that holds the posts.")
    if chosen:
        return chosen
    if any(re.search(r"(^|/)(account|manifest)\.js$", file.name) for file in files):
        raise NoPosts(f"{name} is an X archive without its posts.", "Its data folder should hold tweets.js.")
    if any(file.name == "xl/workbook.xml" for file in files):
        raise SourceError(f"{name} is a spreadsheet.", "Save it as CSV in UTF-8, and give that file.")
    raise NoPosts(f"{name} holds no file that is known to hold posts.", _KINDS_HINT)


def _kind(file: PostFile, limits: Limits) -> str:
    with reading(file) as stream:
        head = stream.read(_HEAD_BYTES)
    text = head.decode(encoding_by_mark(head) or "utf-8", "ignore").lstrip("\ufeff")
    if re.match(r"\s*<(!doctype|html|\?xml)", text, re.IGNORECASE):
        raise SourceError(f"{file.name!r} is a web page or XML.", "Give the exported file itself. " + _KINDS_HINT)
    named_json = file.suffix in _JSON_NAMES
    if (_JSON_START if named_json else _SURELY_JSON_START).match(text):
        return "json"
    if csv_posts.recognise(file, limits) or file.suffix in _TABLE_NAMES:
        return "csv"
    if named_json or file.suffix == ".js":
        raise SourceError(f"{file.name!r} is called {file.suffix}, and does not hold a list or object.", _KINDS_HINT)
    return "text"


def _drafts(
    files: Sequence[PostFile], read: Callable[[PostFile, Limits], Iterator[Draft]], limits: Limits
) -> Iterator[Draft]:
    for file in files:
        try:
            yield from read(file, limits)
        except NoPosts:
            # A settings file may lie among a folder's posts.
            if len(files) == 1:
                raise


def _peek(drafts: Iterator[Draft], name: str) -> tuple[Iterator[Draft], list[Draft]]:
    """The drafts, and the first of them."""
    head = list(islice(drafts, _HEAD_DRAFTS))
    if not head:
        raise NoPosts(f"{name} is readable, and holds no posts.", "Check that it is the file with the posts.")
    return chain(head, drafts), head


@dataclass(frozen=True, slots=True)
class _Person:
    """Whose posts are read."""

    handle: str | None
    display_name: str | None
    is_asked_for: bool


def _only_person(head: Sequence[Draft], name: str, wanted: str | None) -> _Person:
    """The author of a file's first posts, or the wanted one of several. Raises SourceError where it is not clear."""
    handles = {found.author.lower(): found.author for found in head if found.author}
    handle = handles.get((wanted or "").lower())
    if handle is None and len(handles) > 1:
        raise _several_people(name, list(handles.values()))
    handle = handle or next(iter(handles.values()), None)
    names = (found.display_name for found in head if found.display_name and found.author in (handle, ""))
    return _Person(handle, next(names, None), handle is not None and handle.lower() == (wanted or "").lower())


def _of_person(drafts: Iterator[Draft], person: _Person, name: str) -> Iterator[Draft]:
    """The posts of a person. Raises SourceError where another one's come up, unless this one was asked for."""
    handle = person.handle
    for found in drafts:
        handle = handle or found.author or None
        if found.author and handle and found.author.lower() != handle.lower():
            if person.is_asked_for:
                continue
            raise _several_people(name, [handle, found.author])
        yield found


def _several_people(name: str, handles: list[str]) -> SourceError:
    return SourceError(
        f"{name} holds posts of several people ({', '.join(handles[:5])}{', …' * (len(handles) > 5)}).",
        f"Say whose to take, such as --as {handles[0]}.",
    )


def _posts(drafts: Iterator[Draft], source: str, author: str | None, limits: Limits) -> Iterator[Post]:
    """Each post once, with an id. Raises UnsafeFile for too many and for too long ones."""
    ids = ContentIds()
    # Hashes instead of ids keep half a million of them small.
    seen: set[int] = set()
    for found in drafts:
        if len(found.text) > limits.max_text_chars:
            raise UnsafeFile(
                f"Post {len(seen) + 1:,} has {len(found.text):,} characters; {limits.max_text_chars:,} is the most.",
                "Is this a file of posts?",
            )
        id = found.id or ids.id_of(found.text)
        if hash(id) in seen:
            continue
        seen.add(hash(id))
        if len(seen) > limits.max_posts:
            raise UnsafeFile(
                f"There are more than {limits.max_posts:,} posts.",
                "Give a part: the newest are the best to learn from.",
            )
        author_of = found.author or author or ""
        yield Post(source, id, author_of, found.created_at, found.text, found.kind, found.in_reply_to)
