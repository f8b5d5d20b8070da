"""Posts: what people published, each once. The same post imported again is recognised by its source and id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlite_utils import Database

from storage.ids import utc_now, utc_text, utc_time

Kind = Literal["post", "reply", "quote", "repost"]


@dataclass(frozen=True, slots=True)
class Post:
    """What every source yields."""

    source: str
    """x_archive, x_api, discord_package, mastodon_archive, bluesky, csv, json, text, example."""
    id: str
    """The platform's id as text; where there is none, a stable id made from the content."""
    author: str
    """Handle without @, as written; empty if unknown."""
    created_at: datetime | None
    """Aware UTC."""
    text: str
    """Raw, as published: not cleaned."""
    kind: Kind = "post"
    in_reply_to: str | None = None
    """The text replied to, where known."""


@dataclass(frozen=True, slots=True)
class Added:
    """What an import did. The three add up to the posts given."""

    new: int
    updated: int
    unchanged: int
    of_another: str = ""
    """Whose posts they are as their file says, where that is not whom the persona is called after."""


def add(db: Database, persona_id: str, posts: Iterable[Post]) -> Added:
    """Store posts, all or none: whatever the iterator raises rolls back the whole import and is raised again.

    A post that is there already is left alone, or brought up to date where it differs. A lone half of a UTF-16 pair,
    which UTF-8 cannot hold, becomes U+FFFD.
    """
    new = updated = unchanged = 0
    imported_at = utc_now()
    with db.atomic():
        for post in posts:
            key = [persona_id, _unicode(post.id), _unicode(post.source)]
            values = _values(post)
            known = db.execute(
                "select author, created_at, text, kind, in_reply_to from posts "
                "where persona_id = ? and source_id = ? and source = ?",
                key,
            ).fetchone()
            if known is None:
                new += 1
                db.execute(
                    "insert into posts (persona_id, source_id, source, author, created_at, text, kind, in_reply_to, "
                    "imported_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [*key, *values, imported_at],
                )
            elif known == values:
                unchanged += 1
            else:
                updated += 1
                db.execute(
                    "update posts set author = ?, created_at = ?, text = ?, kind = ?, in_reply_to = ?, imported_at = ? "
                    "where persona_id = ? and source_id = ? and source = ?",
                    [*values, imported_at, *key],
                )
    return Added(new, updated, unchanged)


def of_persona(db: Database, persona_id: str) -> Iterator[Post]:
    """A persona's posts, oldest first; those without a time come before, in the order of their import."""
    cursor = db.execute(
        "select source, source_id, author, created_at, text, kind, in_reply_to from posts "
        "where persona_id = ? order by created_at, rowid",
        [persona_id],
    )
    for source, source_id, author, created_at, text, kind, in_reply_to in cursor:
        time = None if created_at is None else utc_time(created_at)
        yield Post(source, source_id, author, time, text, kind, in_reply_to)


def count(db: Database, persona_id: str) -> int:
    """How many posts a persona has."""
    return int(db.execute("select count(*) from posts where persona_id = ?", [persona_id]).fetchone()[0])


def has_source(db: Database, persona_id: str, source: str) -> bool:
    """Whether any of a persona's posts came from there."""
    query = "select exists (select 1 from posts where persona_id = ? and source = ?)"
    return bool(db.execute(query, [persona_id, source]).fetchone()[0])


def authors(db: Database, persona_id: str, source: str) -> set[str]:
    """Whom a persona's posts from there name as their author, in lower case."""
    rows = db.execute("select distinct author from posts where persona_id = ? and source = ?", [persona_id, source])
    return {author.lower() for (author,) in rows} - {""}


def _values(post: Post) -> tuple[str, str | None, str, Kind, str | None]:
    return (
        _unicode(post.author),
        None if post.created_at is None else utc_text(post.created_at),
        _unicode(post.text),
        post.kind,
        None if post.in_reply_to is None else _unicode(post.in_reply_to),
    )


def _unicode(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
