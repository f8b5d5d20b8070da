"""A Mastodon archive, as its owner downloads it (tar.gz or zip, or the folder) → drafts of posts.

`outbox.json` holds everything that the account ever did, as ActivityStreams 2.0 (https://www.w3.org/TR/activitystreams-core/):
`Create` of a `Note` is a post, `Announce` a boost of somebody's post, whose text is not there. `actor.json` says whose
it is. What was written to followers or to single people, and not to the public, is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from bot.errors import SourceError
from bot.sources.archive import Archive, Owner
from bot.sources.base import Limits
from bot.sources.files import PostFile, admit, reading
from bot.sources.html_text import text_of
from bot.sources.json_values import Place, fields_in, values_at
from bot.sources.records import Draft, display_name, moment, storable

_OUTBOX = re.compile(r"(?:.*/)?outbox\.json")
_PUBLIC = {"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"}
_NOTES = {"Note", "Article", "Question"}
_QUOTES = ("quote", "quoteUrl", "quoteUri", "_misskey_quote")
_NAME = re.compile(r"[\w.-]{1,64}")
_HEAD_BYTES = 4096


def is_archive(files: Sequence[PostFile]) -> bool:
    """Whether there is an outbox of ActivityStreams among the files."""
    return any(_is_outbox(file) for file in files if _OUTBOX.fullmatch(file.name) or len(files) == 1)


def open_archive(files: Sequence[PostFile], limits: Limits) -> Archive:
    """The owner and the posts.

    Raises SourceError where the folder holds several archives, UnsafeFile as `admit` does.
    """
    outboxes = [file for file in files if _OUTBOX.fullmatch(file.name)] or list(files)
    if len(outboxes) > 1:
        raise SourceError("There are several Mastodon archives in it.", "Give one of them.")
    actors = [file for file in files if file.name == str(PurePosixPath(outboxes[0].name).with_name("actor.json"))]
    admit([*outboxes, *actors], limits)
    owner = _owner_in(actors[0], limits) if actors else _owner_by_posts(outboxes[0], limits)
    return Archive(owner, _drafts(outboxes[0], limits))


def draft(activity: Mapping[str, object]) -> Draft | None:
    """The post or boost that an activity is; None for what is neither, or was not published."""
    made, kind = activity.get("object"), activity.get("type")
    time = moment(activity.get("published"))
    if kind == "Announce":
        address = made.get("id") if isinstance(made, Mapping) else made
        link = storable(address) if isinstance(address, str) else ""
        id = activity.get("id")
        return Draft(f"RT {link}", _id(id), created_at=time, kind="repost") if link.strip() else None
    if kind != "Create" or not isinstance(made, Mapping) or made.get("type") not in _NOTES:
        return None
    html = made.get("content")
    if not isinstance(html, str) or not _is_public(made):
        return None
    text = storable(text_of(html))
    if not text.strip():
        return None
    is_quote = any(isinstance(made.get(name), str) and made[name] for name in _QUOTES)
    return Draft(
        text,
        _id(made.get("id")),
        created_at=moment(made.get("published")) or time,
        kind="reply" if made.get("inReplyTo") else "quote" if is_quote else "post",
    )


def _drafts(outbox: PostFile, limits: Limits) -> Iterator[Draft]:
    with reading(outbox) as stream:
        for _, value in values_at(Place("list", ("orderedItems",)), stream, outbox.name, limits):
            if isinstance(value, Mapping) and (found := draft(value)):
                yield found


def _is_outbox(file: PostFile) -> bool:
    if file.is_link or file.suffix != ".json":
        return False
    with reading(file) as stream:
        head = stream.read(_HEAD_BYTES)
    return b"OrderedCollection" in head and b"activitystreams" in head


def _is_public(note: Mapping[str, object]) -> bool:
    """Whether everybody may read it, listed or not. A note that does not say to whom it went counts as public."""
    addressed = [each for name in ("to", "cc") if name in note for each in _list(note[name])]
    return not addressed or any(each in _PUBLIC for each in addressed if isinstance(each, str))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _id(value: object) -> str:
    return storable(value)[:200] if isinstance(value, str) else ""


def _owner_in(actor: PostFile, limits: Limits) -> Owner:
    about = fields_in(actor, ("preferredUsername", "name", "id", "url"), limits)
    name, address = about.get("preferredUsername"), about.get("id") or about.get("url")
    shown = about.get("name")
    handle = _handle(name, address)
    return Owner(handle, display_name(shown) or None if isinstance(shown, str) else None)


def _owner_by_posts(outbox: PostFile, limits: Limits) -> Owner:
    """By the first activity's actor, `https://host/users/name`."""
    with reading(outbox) as stream:
        for _, value in values_at(Place("list", ("orderedItems",)), stream, outbox.name, limits):
            actor = value.get("actor") if isinstance(value, Mapping) else None
            if isinstance(actor, str):
                return Owner(_handle(PurePosixPath(actor).name.removeprefix("@"), actor))
    return Owner()


def _handle(name: object, address: object) -> str | None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    try:
        host = urlsplit(address).hostname if isinstance(address, str) else None
    except ValueError:
        host = None
    full = f"{name}@{host}" if host and _NAME.fullmatch(host) else name
    return full if len(full) <= 64 else name
