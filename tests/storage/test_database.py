from __future__ import annotations

import asyncio
import random
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlite_utils import Database

from storage import learning, personas
from storage.database import Writer, backup, check, open_database, open_readonly
from storage.errors import Gone, StorageError


def handles(db: Database) -> list[str]:
    return [persona.handle for persona in personas.all(db)]


def add_slowly(db: Database, handle: str, seconds: float = 0.2) -> str:
    with db.atomic():
        personas.ensure(db, f"{handle}-before")
        time.sleep(seconds)
        personas.ensure(db, f"{handle}-after")
    return handle


async def test_what_cannot_be_stored_or_lost_its_owner_is_told_in_a_sentence(db_path: Path) -> None:
    store = Writer(db_path)
    await store.start()
    for value in ("\udcff", 10**30):
        with pytest.raises(StorageError, match="cannot be stored"):
            await store.run(Database.execute, "select ?", [value])
    with pytest.raises(Gone, match="was deleted meanwhile"):
        await store.run(learning.add_sample, "nobody", 1, "", "text")
    await store.close()


def test_a_fresh_database_is_private_durable_and_sound(db_path: Path) -> None:
    with open_database(db_path) as db:
        assert stat.S_IMODE(db_path.stat().st_mode) == 0o600
        assert stat.S_IMODE(db_path.with_name("mynah.db-wal").stat().st_mode) == 0o600
        pragmas = {name: db.execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys")}
        assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
        assert db.execute("pragma synchronous").fetchone()[0] == 2
        assert all(db.table(name).strict for name in db.table_names() if name != "_sqlite_migrations")
        assert check(db) == []


def test_opening_again_keeps_what_is_there(db_path: Path) -> None:
    with open_database(db_path) as db:
        personas.ensure(db, "ada")
    with open_database(db_path) as db:
        assert handles(db) == ["ada"]


def test_an_older_file_readable_by_others_becomes_private(db_path: Path) -> None:
    open_database(db_path).close()
    db_path.chmod(0o644)
    open_database(db_path).close()
    assert stat.S_IMODE(db_path.stat().st_mode) == 0o600


@pytest.mark.parametrize("opened", [open_database, open_readonly])
def test_a_database_of_a_newer_mynah_is_refused(db_path: Path, opened: type[Database]) -> None:
    with open_database(db_path) as db:
        db.table("_sqlite_migrations").insert({"migration_set": "mynah", "name": "m999_future", "applied_at": "later"})
    with pytest.raises(StorageError, match="newer Mynah") as refused:
        opened(db_path)
    assert "Upgrade" in refused.value.hint


@pytest.mark.parametrize("opened", [open_database, open_readonly])
def test_a_database_of_another_program_is_left_alone(db_path: Path, opened: type[Database]) -> None:
    db_path.parent.mkdir()
    with Database(db_path) as other:
        other.table("bookmarks").insert({"url": "https://example.org"})
    before = db_path.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        opened(db_path)
    assert db_path.read_bytes() == before


@pytest.mark.parametrize("opened", [open_database, open_readonly])
def test_a_file_that_is_no_database_is_refused(db_path: Path, opened: type[Database]) -> None:
    db_path.parent.mkdir()
    db_path.write_bytes(random.Random(1).randbytes(20_000))
    with pytest.raises(StorageError, match="damaged or is no database") as refused:
        opened(db_path)
    assert "backup" in refused.value.hint


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be opened"):
        open_database(tmp_path / "file" / "mynah.db")


def test_a_listing_needs_a_database(db_path: Path) -> None:
    with pytest.raises(StorageError, match="no database at"):
        open_readonly(db_path)
    assert not db_path.exists()


def test_a_listing_cannot_write(db_path: Path) -> None:
    open_database(db_path).close()
    with open_readonly(db_path) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        personas.ensure(db, "ada")


def test_another_process_reads_while_this_one_writes(db_path: Path, fresh_db: Database) -> None:
    listing = (
        "import sys; from pathlib import Path\n"
        "from storage import personas; from storage.database import open_readonly\n"
        "print(*[p.handle for p in personas.all(open_readonly(Path(sys.argv[1])))])"
    )

    def listed() -> str:
        return subprocess.check_output([sys.executable, "-c", listing, db_path], text=True, timeout=60).strip()

    personas.ensure(fresh_db, "ada")
    with fresh_db.atomic():
        personas.ensure(fresh_db, "grace")
        assert listed() == "ada"
    assert listed() == "ada grace"


def test_two_processes_may_start_at_once(db_path: Path) -> None:
    opening = "import sys; from pathlib import Path; from storage.database import open_database, check\n"
    opening += "assert check(open_database(Path(sys.argv[1]))) == []"
    started = [subprocess.Popen([sys.executable, "-c", opening, db_path]) for _ in range(4)]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]


def test_a_backup_is_a_database_of_the_same_content(fresh_db: Database, tmp_path: Path) -> None:
    personas.ensure(fresh_db, "ada")
    copy = tmp_path / "backups" / "copy.db"
    backup(fresh_db, copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with open_database(copy) as restored:
        assert handles(restored) == ["ada"]
        assert check(restored) == []
    with pytest.raises(StorageError, match="already exists"):
        backup(fresh_db, copy)


def test_check_finds_a_row_without_its_parent(fresh_db: Database) -> None:
    fresh_db.execute("pragma foreign_keys = off").fetchall()
    fresh_db.execute("insert into models values ('gone', 'lora', 'base', '', '')")
    assert check(fresh_db) == ["Row 1 of models refers to a row of clones that is gone."]


def test_check_finds_a_damaged_page(db_path: Path) -> None:
    with open_database(db_path) as db, db.atomic():
        for number in range(2_000):
            personas.ensure(db, f"persona-{number}")
    with db_path.open("r+b") as file:
        file.seek(db_path.stat().st_size // 2)
        file.write(b"\xff" * 4096)
    with open_readonly(db_path) as db:
        assert check(db) != []


async def test_the_writer_runs_in_order_on_one_thread(db_path: Path) -> None:
    writer = Writer(db_path)
    await writer.start()
    threads = await asyncio.gather(*(writer.run(lambda _: threading.get_ident()) for _ in range(5)))
    assert set(threads) != {threading.get_ident()} and len(set(threads)) == 1
    await asyncio.gather(*(writer.run(add_slowly, handle, seconds=0) for handle in "cab"))
    assert await writer.run(handles) == sorted(f"{name}-{when}" for name in "abc" for when in ("before", "after"))
    await writer.close()
    await writer.close()


async def test_a_cancelled_write_is_whole_all_the_same(db_path: Path) -> None:
    writer = Writer(db_path)
    await writer.start()
    running = asyncio.create_task(writer.run(add_slowly, "ada"))
    waiting = asyncio.create_task(writer.run(add_slowly, "grace"))
    await asyncio.sleep(0.05)
    running.cancel()
    waiting.cancel()
    assert await writer.run(handles) == ["ada-after", "ada-before"]
    assert running.cancelled() and waiting.cancelled()
    await writer.close()


async def test_a_cancelled_write_that_fails_is_logged(db_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail_slowly(db: Database) -> None:
        time.sleep(0.1)
        raise RuntimeError("the text of a post")

    writer = Writer(db_path)
    await writer.start()
    running = asyncio.create_task(writer.run(fail_slowly))
    await asyncio.sleep(0.02)
    running.cancel()
    await writer.close()
    assert "RuntimeError" in caplog.text
    assert "the text of a post" not in caplog.text


async def test_the_loop_runs_on_while_the_writer_writes(db_path: Path) -> None:
    writer = Writer(db_path)
    await writer.start()
    running = asyncio.create_task(writer.run(add_slowly, "ada", seconds=0.3))
    ticks = 0
    while not running.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 10
    await writer.close()


async def test_closing_finishes_what_was_asked_for(db_path: Path) -> None:
    writer = Writer(db_path)
    await writer.start()
    asked = [asyncio.create_task(writer.run(add_slowly, handle, seconds=0.05)) for handle in ("ada", "grace")]
    await asyncio.sleep(0)
    await writer.close()
    assert await asyncio.gather(*asked) == ["ada", "grace"]
    with pytest.raises(StorageError, match="not open"):
        await writer.run(handles)


async def test_a_full_disk_is_said_in_words(db_path: Path) -> None:
    def fill(db: Database) -> None:
        db.execute("pragma max_page_count = 60").fetchall()
        with db.atomic():
            for number in range(10_000):
                personas.ensure(db, f"persona-{number}")

    writer = Writer(db_path)
    await writer.start()
    with pytest.raises(StorageError, match="is full"):
        await writer.run(fill)
    assert await writer.run(handles) == []
    await writer.close()


async def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    with pytest.raises(StorageError, match="cannot be opened"):
        await writer.start()
    await writer.close()
