"""Which commands Discord shows, and how much somebody asked for lately."""

from __future__ import annotations

from datetime import datetime

from sqlite_utils import Database

from storage.ids import utc_now, utc_text


def synced(db: Database, scope: str) -> str | None:
    """The digest of the commands that were last sent for everybody ("global") or for one server."""
    row = db.execute("select digest from discord_commands where scope = ?", [scope]).fetchone()
    return None if row is None else str(row[0])


def keep_synced(db: Database, scope: str, digest: str) -> None:
    with db.atomic():
        db.execute(
            "insert or replace into discord_commands (scope, digest, synced_at) values (?, ?, ?)",
            [scope, digest, utc_now()],
        )


def asked_since(db: Database, since: datetime, *, by: str = "", within: str = "") -> int:
    """Clones that somebody (`discord:ID`), or anybody within a server, asked for since a moment.

    `clones.requested_by` is `discord:USER@GUILD`, or `discord:USER` in direct messages.
    """
    pattern = f"{by or 'discord:%'}@{within or '%'}"
    row = db.execute(
        "select count(*) from clones where created_at >= ? and (requested_by like ? or requested_by = ?)",
        [utc_text(since), pattern, by],
    ).fetchone()
    return int(row[0])
