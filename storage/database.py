"""The database file: opening, one writer, backup, check. Everything that Mynah remembers is in it.

It is private to its owner (mode 0600), in write-ahead mode, so that listings read while the bot writes, and what is
deleted is overwritten. Only one process writes; in it, one thread owns the connection.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlite_utils import Database

from storage.errors import Gone, StorageError
from storage.migrations import migrations, names

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_PRAGMAS = (
    "busy_timeout = 5000",
    "journal_mode = wal",
    "synchronous = full",  # a command that was accepted must survive a power cut, which NORMAL does not promise in WAL
    "foreign_keys = on",
    "secure_delete = on",  # a persona that was erased must not be readable in the file's free pages
    "journal_size_limit = 67108864",  # bytes; saving a full model makes the log larger than that, once
)


def open_database(path: Path) -> Database:
    """Open the database for writing, made if it is not there, and bring its schema up to date.

    Raises StorageError for a file that is no database of Mynah's, is damaged, or was written by a newer Mynah.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The write-ahead log and its index take over the mode of the file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        db = Database(path)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be opened: {error.strerror}.", "Check the folder's permissions, or set MYNAH_DATA_DIR."
        ) from error
    except sqlite3.Error as error:
        raise in_words(error, path) from error
    try:
        _refuse_foreign(db, path)
        for pragma in _PRAGMAS:
            db.execute(f"pragma {pragma}").fetchall()
        migrate(db)
    except sqlite3.Error as error:
        db.close()
        raise in_words(error, path) from error
    except BaseException:
        db.close()
        raise
    return db


def open_readonly(path: Path) -> Database:
    """Open for listings only, also while a bot writes. Raises StorageError as `open_database`, or if there is none."""
    if not path.is_file():
        raise StorageError(f"There is no database at {path}.", "Start Mynah once with `mynah run`, or clone someone.")
    try:
        db = Database(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True))
    except sqlite3.Error as error:
        raise in_words(error, path) from error
    try:
        db.execute("pragma busy_timeout = 5000").fetchall()
        _refuse_foreign(db, path)
        if migrations.pending(db):
            raise StorageError(
                f"{path} was written by an older Mynah, or one is making it now.",
                "Try again in a moment; if that is no help, start `mynah run` once to bring it up to date.",
            )
    except sqlite3.Error as error:
        db.close()
        raise in_words(error, path) from error
    except BaseException:
        db.close()
        raise
    return db


def migrate(db: Database) -> None:
    """Apply the pending migrations, all or none.

    Foreign keys are off meanwhile and checked at the end, as https://www.sqlite.org/lang_altertable.html#otheralter
    asks for a table that is rebuilt.
    """
    if not migrations.pending(db):
        return
    db.execute("pragma foreign_keys = off")
    try:
        # Immediate: a second process that starts at the same moment waits here and then finds nothing to do.
        db.execute("begin immediate")
        try:
            migrations.apply(db)
            _refuse_broken_references(db)
            db.commit()
        except BaseException:
            db.rollback()
            raise
    finally:
        db.execute("pragma foreign_keys = on")


def backup(db: Database, dest: Path) -> None:
    """Copy the database to a new file while it is in use, with SQLite's online backup.

    The file appears whole or not at all. Raises StorageError if there is one already.
    """
    if dest.exists():
        raise StorageError(f"{dest} already exists.", "Name a new file for the backup.")
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        # In a folder of its own, readable by its owner alone, until it is whole.
        with tempfile.TemporaryDirectory(prefix=f".{dest.name}-", dir=dest.parent) as folder:
            unfinished = Path(folder) / dest.name
            with closing(sqlite3.connect(unfinished)) as copy:
                db.conn.backup(copy)
            unfinished.chmod(0o600)
            unfinished.rename(dest)
    except sqlite3.Error as error:
        raise in_words(error, dest) from error
    except OSError as error:
        raise StorageError(f"{dest} cannot be written: {error.strerror}.", "Name a file elsewhere.") from error


def check(db: Database) -> list[str]:
    """What is wrong with the database, a sentence each; empty when it is sound. Reads the whole file."""
    try:
        found = [row[0] for row in db.execute("pragma integrity_check").fetchall() if row[0] != "ok"]
        broken = db.execute("pragma foreign_key_check").fetchall()
    except sqlite3.DatabaseError as error:
        return [f"The database cannot be read through: {error}."]
    return found + [
        f"Row {rowid} of {table} refers to a row of {parent} that is gone." for table, rowid, parent, _ in broken
    ]


def in_words(error: sqlite3.Error, path: Path) -> StorageError:
    """SQLite's error as a sentence with what to do about it."""
    match error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else None:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageError(f"{path} is in use by another program.", "Close whatever has it open, and try again.")
        case sqlite3.SQLITE_FULL:
            return StorageError(f"The disk that holds {path} is full.", "Make room, and try again.")
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return StorageError(
                f"{path} is damaged or is no database.", "Move it away and restore a backup, or start anew without it."
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StorageError(f"{path} cannot be written or opened.", "Check its permissions and its folder's.")
        case _:
            return StorageError(f"{path}: {error}.", "Run `mynah doctor` to check the database and the disk.")


class Store:
    """One connection, and the one thread that owns it, reached from async code.

    Functions run one after another, each to its end: cancelling a task that waits for one does not stop it half way.
    They must not hand back anything that still reads from the connection, such as a generator.
    """

    def __init__(self, path: Path, opener: Callable[[Path], Database]) -> None:
        self._path = path
        self._opener = opener
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self._db: Database | None = None
        self._closed = False

    async def start(self) -> None:
        """Open the database. Raises StorageError where that cannot be."""
        await asyncio.wrap_future(self._thread.submit(self._open))

    async def run(self, fn: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(db, …)` on the connection's thread.

        Raises what `fn` raises; where the file or the disk is at fault, SQLite's error becomes a StorageError.
        """
        if self._closed:
            raise _not_open()
        work = self._thread.submit(lambda: self._call(fn, *args, **kwargs))
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            work.add_done_callback(_log_unheard)
            raise

    async def close(self) -> None:
        """Finish what was asked for, close the database and end the thread. May be called twice."""
        if self._closed:
            return
        self._closed = True
        await asyncio.shield(asyncio.wrap_future(self._thread.submit(self._close)))
        self._thread.shutdown()

    def _open(self) -> None:
        self._db = self._opener(self._path)

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _call(self, fn: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._db is None:
            raise _not_open()
        try:
            return fn(self._db, *args, **kwargs)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
                raise Gone("What this belongs to was deleted meanwhile.", "See /models for who is here.") from error
            raise  # a mistake in the code, not in the file
        except sqlite3.ProgrammingError:
            raise
        except (UnicodeEncodeError, OverflowError) as error:
            raise StorageError(
                "A character or a number in it cannot be stored.", "Write it with ordinary letters and smaller numbers."
            ) from error
        except sqlite3.Error as error:
            raise in_words(error, self._path) from error


class Writer(Store):
    """The one connection that writes: only one process has it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, open_database)


class Reader(Store):
    """A connection for listings, beside a bot that may be writing."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, open_readonly)


def _not_open() -> StorageError:
    return StorageError("The database is not open.", "Mynah is starting or stopping; try again when it runs.")


def _refuse_foreign(db: Database, path: Path) -> None:
    applied = {migration.name for migration in migrations.applied(db)}
    if not applied and db.table_names():
        raise StorageError(f"{path} is a database of another program.", "Name another file, or set MYNAH_DATA_DIR.")
    if applied.difference(names()):
        raise StorageError(
            f"{path} was written by a newer Mynah than this one.", "Upgrade Mynah, or restore a backup made before."
        )


def _refuse_broken_references(db: Database) -> None:
    if broken := db.execute("pragma foreign_key_check").fetchall():
        raise StorageError(
            f"A migration left {len(broken)} rows without what they refer to, the first in {broken[0][0]}.",
            "Nothing was changed. Please report this, and go back to the version that you had.",
        )


def _log_unheard(work: Future[T]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        log.error("A write failed after its task was cancelled: %s", type(error).__name__)
