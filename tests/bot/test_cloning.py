"""A clone's life through kills, signals and cancellations: real processes, a tiny base."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import time
from pathlib import Path

import pytest
from sqlite_utils import Database

from bot import clone_files, config
from bot.app import running
from bot.clone_records import Order
from bot.cloning import Cloning
from bot.data_folder import DataFolder
from bot.requests import CloneRequest
from storage import clones, personas, posts
from storage.clones import Clone
from storage.database import Writer, check, open_database
from storage.errors import StorageError
from tests.invented import invented_posts, write_csv
from tests.running import Home, Mynah, until
from trainer.recipes import MYNAH

LONG = 700
"""Posts that keep the tiny base busy for some seconds."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "posts.csv", "ada", invented_posts(90))


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "many.csv", "ada", invented_posts(LONG))


def newest(db: Database, handle: str = "ada") -> Clone:
    persona = personas.find(db, handle)
    assert persona is not None
    return clones.of_persona(db, persona.id)[0]


def moves(db: Database) -> list[str]:
    return [move.to_state for move in clones.history(db, newest(db).id)]


def upload(home: Home, file: Path) -> Path:
    """A copy where gateways put what people hand over, in a folder of its own."""
    folder = DataFolder(home.data).uploads / secrets.token_hex(4)
    folder.mkdir(parents=True)
    return Path(shutil.copy(file, folder))


def job_files(home: Home, name: str) -> list[Path]:
    return list(DataFolder(home.data).jobs.glob(f"*/{name}"))


def test_killed_bot_goes_on_from_the_checkpoint_without_being_asked(home: Home, long_file: Path) -> None:
    with Mynah.on_pipes(home) as mynah:
        mynah.type(f"/clone @ada file={long_file}\n")
        mynah.wait_for(r"step \d+/")
        mynah.kill()
        assert mynah.left_behind() == []
    assert job_files(home, "checkpoint.safetensors")

    with Mynah.on_pipes(home) as mynah:
        mynah.wait_for("The training of @ada goes on")
        mynah.type("/train watch\n")
        assert int(mynah.wait_for(r"from step (\d+)\.")[1]) > 0
        mynah.wait_for("@ada is ready.")
        mynah.type("/say @ada\n/quit\n")
        mynah.wait_for("a bot imitating them")
        assert mynah.ended() == 0

    with home.database() as db:
        assert moves(db) == ["queued", "collecting", "training", "queued", "collecting", "training", "ready"]
        assert newest(db).source_path is None
        assert posts.count(db, newest(db).persona_id) == LONG
        assert check(db) == []
    assert job_files(home, "*") == []


def test_bot_killed_while_it_reads_posts_leaves_none_and_reads_them_again(home: Home, tmp_path: Path) -> None:
    reposts = [f"RT @bea: {post}" for post in invented_posts(40_000, seed=2)]
    file = write_csv(tmp_path / "reposts.csv", "ada", [*reposts, *invented_posts(90)])
    with Mynah.on_pipes(home) as mynah:
        mynah.type(f"/clone @ada file={file}\n")
        mynah.wait_for("reading the posts")
        mynah.kill()
    with home.database() as db:
        assert newest(db).state == "collecting"
        assert posts.count(db, newest(db).persona_id) == 0

    with Mynah.on_pipes(home) as mynah:
        mynah.type("/train watch\n")
        mynah.wait_for("@ada is ready.")
    with home.database() as db:
        counts = newest(db).counts
        assert counts is not None
        assert (counts.downloaded, counts.reposts, counts.kept) == (40_090, 40_000, 90)


def test_killed_trainer_is_started_again(home: Home, file: Path) -> None:
    with Mynah.on_pipes(home) as mynah:
        mynah.type(f"/clone @ada file={file}\n")
        mynah.wait_for("training on")
        mynah.trainer().kill()
        mynah.wait_for("@ada is ready.")
        mynah.end_input()
        assert mynah.ended() == 0
        assert "died; it is started again" in mynah.errors


def test_trainer_that_dies_again_and_again_fails_in_a_sentence(home: Home, file: Path) -> None:
    home.settings["MYNAH_TRAINING__RESTARTS"] = "1"
    with Mynah.on_pipes(home) as mynah:
        mynah.type(f"/clone @ada file={file}\n")
        first = mynah.trainer()
        first.kill()
        second = until(lambda: None if (other := mynah.trainer()).pid == first.pid else other)
        second.kill()
        mynah.end_input()
        assert mynah.ended() == 1
        assert "@ada: The trainer died 2 times. `mynah doctor` looks for what may cause it" in mynah.errors
    with home.database() as db:
        assert (newest(db).state, newest(db).error_kind) == ("failed", "internal")
    assert job_files(home, "*") == []


def test_sigterm_writes_the_checkpoint_and_ends_in_time(home: Home, long_file: Path) -> None:
    with Mynah.on_pipes(home) as mynah:
        mynah.type(f"/clone @ada file={long_file}\n")
        mynah.wait_for(r"step \d+/")
        asked = time.monotonic()
        mynah.signal(signal.SIGTERM)
        assert mynah.ended() == 1
        assert time.monotonic() - asked < 15
        assert mynah.left_behind(0) == []
        assert mynah.errors == ""
    assert job_files(home, "checkpoint.safetensors")
    with home.database() as db:
        assert newest(db).state == "queued"


def test_ctrl_c_cancels_the_training_and_the_next_command_is_done(home: Home, long_file: Path) -> None:
    with Mynah.on_pipes(home) as mynah:
        mynah.type(f"/clone @ada file={long_file}\n/models\n")
        mynah.wait_for(r"step \d+/")
        mynah.signal(signal.SIGINT)
        mynah.wait_for("@ada: cancelled.")
        mynah.wait_for(r"@ada +1 +cancelled")
        mynah.end_input()
        assert mynah.ended() == 1
    assert job_files(home, "*") == []


def test_ctrl_c_of_one_command_says_so_by_its_exit_status(home: Home, long_file: Path) -> None:
    with Mynah.on_pipes(home, "clone", str(long_file), "--as", "ada") as mynah:
        mynah.wait_for(r"step \d+/")
        mynah.signal(signal.SIGINT)
        assert mynah.ended() == 130
    with home.database() as db:
        assert newest(db).state == "cancelled"


def test_who_waits_is_told_for_whom(home: Home, file: Path, long_file: Path) -> None:
    with Mynah.on_pipes(home, "clone", str(long_file), "--as", "ada") as mynah:
        mynah.wait_for(r"step \d+/")
        mynah.kill()
    with home.database() as db:
        assert newest(db).state == "training"
    with Mynah.on_pipes(home, "clone", str(file), "--as", "bea") as mynah:
        mynah.wait_for("@bea: in line, 1 ahead.\n@ada, version 1, is made first")


async def test_clone_can_be_cancelled_at_any_moment_and_the_line_goes_on(home: Home, file: Path) -> None:
    too_few = write_csv(file.with_name("few.csv"), "bea", invented_posts(5))
    async with running(config.load(None, home.environ())) as app:
        for moment in range(12):
            uploaded = upload(home, file)
            await app.commands.clone(CloneRequest("ada", uploaded))
            for _ in range(moment**2):
                await asyncio.sleep(0)
            await app.commands.train_cancel("ada")
            assert await app.commands.train_status() == []
            assert not uploaded.parent.exists()
        async with app.cloning.listen() as updates:
            await app.commands.clone(CloneRequest("bea", too_few))
            while (update := await updates.get()).clone.state != "failed":
                pass
    assert update.clone.error_kind == "too_few_posts"
    with home.database() as db:
        persona = personas.find(db, "ada")
        assert persona is not None
        assert {clone.state for clone in clones.of_persona(db, persona.id)} == {"cancelled"}


async def test_an_uploaded_file_is_deleted_once_no_clone_names_it(
    home: Home, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named_at_deletion: list[str | None] = []

    def look_and_remove(folder: Path) -> None:
        with home.database() as db:
            named_at_deletion.append(newest(db).source_path)
        shutil.rmtree(folder)

    monkeypatch.setattr(clone_files, "_remove", look_and_remove)
    async with running(config.load(None, home.environ())) as app, app.cloning.listen() as updates:
        uploaded = upload(home, file)
        await app.commands.clone(CloneRequest("ada", uploaded))
        while (await updates.get()).clone.state != "training":
            pass
        await asyncio.to_thread(until, lambda: named_at_deletion or None)
    assert named_at_deletion == [None]
    assert not uploaded.parent.exists()


async def test_one_broken_clone_does_not_hold_up_the_line(home: Home, file: Path) -> None:
    settings = config.load(None, home.environ())
    db = open_database(DataFolder(home.data).database)
    persona = personas.ensure(db, "broken")
    clones.enqueue(db, persona.id, "mynah", "{}", settings.base_model, 1, "test", None)
    db.close()
    async with running(settings, make_clones=False) as app:
        await app.commands.clone(CloneRequest("late", file))
    await asyncio.to_thread(file.unlink)

    async with running(settings) as app:
        async with app.cloning.listen() as updates:
            while await app.commands.train_status():
                await updates.get()
        failures = {clone.handle: clone.error_message for clone in await app.commands.models() if not clone.bundled}
        assert not failures.keys() & set(await app.commands.handles())
    assert failures == {
        "broken": "Mynah met an error that it does not know (ValidationError).",
        "late": f"There is no file {file}.",
    }


async def test_posts_of_a_job_or_an_upload_that_ended_in_a_crash_are_deleted_at_the_next_start(home: Home) -> None:
    folder = DataFolder(home.data)
    leftovers = [folder.jobs / "01ENDED" / "posts.jsonl", folder.uploads / "half.zip", folder.uploads / "a" / "b.zip"]
    for leftover in leftovers:
        leftover.parent.mkdir(parents=True, exist_ok=True)
        leftover.write_text("{}", encoding="utf-8")
    async with running(config.load(None, home.environ())):
        await asyncio.to_thread(until, lambda: None if any(each.exists() for each in leftovers) else True)
    assert not leftovers[0].parent.exists()


async def test_who_works_inside_is_cancelled_when_the_database_is_lost(home: Home, file: Path) -> None:
    settings = config.load(None, home.environ())
    store = Writer(DataFolder(home.data).database)
    await store.start()
    cloning = Cloning(settings, store)
    with pytest.raises(StorageError, match="not open"):
        async with cloning.working():
            await cloning.submit(Order("ada", MYNAH, settings.base_model, 1, "test"))
            await store.close()
            await asyncio.sleep(30)


def test_newer_file_adds_only_what_is_new_and_makes_version_2(ada: Home, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "later.csv", "ada", invented_posts(100))
    again = ada.run("run", typed=f"/clone @ada file={file}\n/models\n")
    assert (again.returncode, again.stderr) == (0, "")
    assert "@ada: 10 posts are new, 0 changed, 90 known already." in again.stdout
    assert "@ada                         1   ready" in again.stdout
    assert "@ada                         2*  ready" in again.stdout


def test_huggingtweets_trains_all_weights_and_speaks(home: Home, file: Path) -> None:
    typed = f'/clone @ada file={file} recipe=huggingtweets heldout=yes seed=3\n/say @ada prompt="My dream is" count=2\n'
    done = home.run("run", typed=typed)
    assert done.returncode == 0, done.stderr
    assert "held-out bits per byte before" in done.stdout and "held-out bits per byte after" in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.startswith("My dream is")]) == 2
    with home.database() as db:
        (method,) = db.execute("select method from models where clone_id = ?", [newest(db).id]).fetchone()
        assert (method, newest(db).seed) == ("full", 3)
