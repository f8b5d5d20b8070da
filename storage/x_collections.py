"""Collections: how far the posts of an account on X have come in, page by page, for the clone that wants them.

A page's posts, how far that is, and what it cost are written in one transaction (by `bot.x.collecting`), so that no
page is asked for twice after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlite_utils import Database

from storage.consents import Ground
from storage.ids import utc_now
from storage.posts import Added


@dataclass(frozen=True, slots=True)
class Collection:
    """What is to be read for a clone, and what was."""

    account_id: str
    """On X; it stays the same when the handle changes."""
    handle: str
    display_name: str
    post_count: int | None
    """Of the account when this was asked for; None where X did not say."""
    ground: Ground
    depth: int
    """Most posts that may be read."""
    since_id: str | None = None
    """Only what is newer is read."""
    newest_id: str | None = None
    oldest_id: str | None = None
    next_token: str | None = None
    read: int = 0
    """Posts that X returned, and charged for."""
    is_complete: bool = False
    """X has nothing more."""
    pages: int = 0
    new_posts: int = 0
    updated_posts: int = 0
    unchanged_posts: int = 0
    ended_at: str | None = None
    """When all was read that was asked for."""

    @property
    def added(self) -> Added:
        return Added(self.new_posts, self.updated_posts, self.unchanged_posts)

    def plus(self, added: Added) -> Collection:
        """With one more page counted."""
        return replace(
            self,
            pages=self.pages + 1,
            new_posts=self.new_posts + added.new,
            updated_posts=self.updated_posts + added.updated,
            unchanged_posts=self.unchanged_posts + added.unchanged,
        )


_COLUMNS = tuple(Collection.__dataclass_fields__)


def begin(db: Database, clone_id: str, persona_id: str, collection: Collection) -> None:
    """Write down what a clone in line will read."""
    columns = ", ".join(("clone_id", "persona_id", *_COLUMNS))
    places = ", ".join("?" for _ in range(len(_COLUMNS) + 2))
    db.execute(f"insert into x_collections ({columns}) values ({places})", [clone_id, persona_id, *_values(collection)])


def of_clone(db: Database, clone_id: str) -> Collection | None:
    """What a clone reads from X; None where it reads nothing there."""
    for row in db.query(f"select {', '.join(_COLUMNS)} from x_collections where clone_id = ?", [clone_id]):
        return Collection(**(row | {"is_complete": bool(row["is_complete"])}))
    return None


def newest(db: Database, persona_id: str) -> Collection | None:
    """The last one that read something for a persona; None where none did."""
    clone_id = newest_clone(db, persona_id)
    return of_clone(db, clone_id) if clone_id else None


def newest_clone(db: Database, persona_id: str) -> str | None:
    """Whose collection that is."""
    found = "select clone_id from x_collections where persona_id = ? and pages > 0 order by clone_id desc limit 1"
    for row in db.query(found, [persona_id]):
        return str(row["clone_id"])
    return None


def save(db: Database, clone_id: str, collection: Collection) -> None:
    """Write how far it has come."""
    assignments = ", ".join(f"{column} = ?" for column in _COLUMNS)
    db.execute(f"update x_collections set {assignments} where clone_id = ?", [*_values(collection), clone_id])


def end(db: Database, clone_id: str) -> None:
    """All was read that was asked for."""
    db.execute("update x_collections set ended_at = ? where clone_id = ?", [utc_now(), clone_id])


def _values(collection: Collection) -> list[object]:
    return [getattr(collection, column) for column in _COLUMNS]
