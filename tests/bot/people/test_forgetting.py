"""What is left of a person who is forgotten or opts out: nothing that can be read, in any file of the data folder."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlite_utils import Database

from bot.app import App, running
from bot.bundled import bundled_handle
from bot.clone_records import import_posts
from bot.errors import CommandError, NotFound, OptedOut
from bot.gateways.command_line import parse
from bot.gateways.families import people
from bot.people.grounds import scope_of
from bot.requests import BlendRequest, CloneRequest
from bot.settings import Settings
from bot.sources import Limits
from storage import blends, clones, consents, evaluations, learning, notices, optouts, outbox, personas, posts, sending
from storage.consents import ALL_USES
from storage.errors import MynahError, NoConsent
from storage.evaluations import Measured
from storage.ids import new_id
from storage.learning import CorpusPost
from storage.outbox import Decided, decide
from storage.posts import Post

SECRET = "a teaspoon of thunder under the stairs"
HANDLE = "quillfeather"
MEMBER = "281474976710656"


@asynccontextmanager
async def mynah(data: Path) -> AsyncIterator[App]:
    async with running(Settings(data_dir=data), make_clones=False) as app:
        yield app


def live(db: Database, handle: str, text: str, requested_by: str = "console") -> str:
    """A persona who learned, spoke and was judged beside others; returns the clone's id."""
    persona = personas.ensure(db, handle, handle.title(), "csv")
    posts.add(db, persona.id, [Post("csv", "1", handle, None, text)])
    clone = clones.enqueue(db, persona.id, "mynah", "{}", "gpt2", 1, requested_by, f"/home/{handle}.csv")
    clones.move(db, clone.id, "collecting")
    clones.move(db, clone.id, "training")
    learning.record_corpus(db, clone.id, [CorpusPost("1", "train", text)])
    learning.add_sample(db, clone.id, 1, "", text)
    clones.move(db, clone.id, "ready")
    consents.record(
        db, persona.id, "own_word" if requested_by != "console" else "owner", requested_by, requested_by, "csv"
    )
    return clone.id


def due(db: Database, handle: str) -> str:
    """A post that is to be published."""
    persona = personas.find(db, handle)
    assert persona is not None
    id = decide(db, Decided(persona.id, None, None, "dry", "hello", datetime.now(UTC), "key", "due"))
    assert id is not None
    return id


def left(data: Path, *marks: str) -> list[str]:
    """Files whose names or bytes hold one of these."""
    return [
        str(path.relative_to(data))
        for path in data.rglob("*")
        for mark in marks
        if mark in path.name or (path.is_file() and mark.encode() in path.read_bytes())
    ]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def surround(data: Path, clone_id: str) -> None:
    """What the rest of Mynah writes for a clone."""
    write(data / "jobs" / clone_id / "posts.jsonl", SECRET)
    write(data / "logs" / f"trainer-{clone_id}.log", HANDLE)
    write(data / "logs" / f"export-{clone_id}.log", HANDLE)
    write(data / "wandb" / clone_id / "wandb" / "offline-run" / "samples.json", SECRET)
    write(data / "cards" / clone_id / "card.html", HANDLE)
    write(data / "cache" / "models" / clone_id / "adapter_config.json", HANDLE)
    write(data / "cache" / "exports" / clone_id / "model.bin", SECRET)
    write(data / "history", f"\n# 2026-11-24 09:00:00\n+/clone @{HANDLE} file=x\n\n# 2026-11-24 09:01:00\n+/models\n")


def everything(db: Database) -> str:
    clone_id = live(db, HANDLE, SECRET)
    report = json.dumps({"samples": {"authorship": {"personas": [HANDLE, "grace"]}}})
    grace = live(db, "grace", "what grace said")
    evaluations.add(db, grace, Measured(0, None, None, None, None, None, None, report))
    notices.add(db, "late", f"A post of @{HANDLE} was late.", "", datetime.now(UTC))
    blend = personas.ensure(db, f"{HANDLE}-grace", "both")
    of = {name: personas.find(db, name) for name in (HANDLE, "grace")}
    blends.set_parts(db, blend.id, {each.id: 0.5 for each in of.values() if each})
    return clone_id


async def test_nothing_of_a_forgotten_person_is_left(tmp_path: Path) -> None:
    async with mynah(tmp_path / "data") as app:
        clone_id = await app.store.run(everything)
        surround(tmp_path / "data", clone_id)
        write(
            tmp_path / "data" / "jobs" / "another" / "others.jsonl",
            json.dumps({"person": HANDLE, "text": SECRET}) + "\n",
        )
        assert len(left(tmp_path / "data", SECRET, HANDLE)) > 5
        forgotten = await app.commands.people.forget(f"@{HANDLE.upper()}")
        assert left(tmp_path / "data", SECRET, HANDLE, clone_id) == []
        assert "grace" in await app.commands.handles()
    assert left(tmp_path / "data", SECRET, HANDLE) == []
    assert (tmp_path / "data" / "history").read_text() == "\n# 2026-11-24 09:01:00\n+/models\n"
    assert forgotten.handles == (HANDLE, f"{HANDLE}-grace")
    assert (forgotten.posts, forgotten.versions, forgotten.samples, forgotten.consents) == (1, 1, 1, 1)
    assert forgotten.file_bytes > 0


async def test_a_blend_made_anew_without_somebody_is_still_theirs(tmp_path: Path) -> None:
    async with mynah(tmp_path / "data") as app:
        await app.store.run(everything)
        await app.store.run(live, "mix", SECRET)

        def blend_anew(db: Database) -> None:
            mix, grace = (personas.ensure(db, name) for name in ("mix", "grace"))
            (version,) = clones.of_persona(db, mix.id)
            personas.set_current(db, mix.id, version.id)
            heard = blends.PersonHeard(HANDLE, 1, 0, 0, 1, 1, 1.0)
            blends.record_people(db, version.id, [heard])  # as the version that speaks was made
            blends.set_parts(db, mix.id, {grace.id: 0.5})  # as a newer one was asked for, which failed

        await app.store.run(blend_anew)
        await app.commands.people.withdraw(HANDLE)
        with pytest.raises(NoConsent, match=f"@{HANDLE} withdrew"):
            await app.commands.people.refuse_beyond("mix", "speak")
        assert set((await app.commands.people.forget(HANDLE)).handles) == {HANDLE, f"{HANDLE}-grace", "mix"}
        assert left(tmp_path / "data", SECRET, HANDLE) == []


async def test_whoever_opts_out_is_named_nowhere_and_refused_for_good(tmp_path: Path) -> None:
    async with mynah(tmp_path / "data") as app:
        await app.store.run(everything)
        await app.commands.people.optout(f"@{HANDLE}")
        assert left(tmp_path / "data", SECRET, HANDLE) == []
    file = tmp_path / "posts.csv"
    file.write_text("text,username\nhello there,quillfeather\n")
    async with mynah(tmp_path / "data") as app:
        for handle in (HANDLE, f"@{HANDLE.title()}", None):
            with pytest.raises(OptedOut, match="opted out"):
                await app.commands.clone(CloneRequest(handle, file))
        with pytest.raises(OptedOut):
            await app.commands.people.consent_for(HANDLE)
        assert (await app.commands.people.privacy()).opted_out == 1
    assert left(tmp_path / "data", HANDLE) == []


async def test_a_file_of_somebody_who_opted_out_is_not_taken_under_another_name(tmp_path: Path) -> None:
    file = tmp_path / "posts.csv"
    file.write_text("text,username\n" + "hello there,quillfeather\n")
    async with mynah(tmp_path / "data") as app:
        submitted = await app.commands.clone(CloneRequest("somebody", file))
        await app.commands.people.optout(HANDLE)
        with pytest.raises(OptedOut, match="The file is of a person who has opted out"):
            await app.commands.clone(CloneRequest("another", file))
        with pytest.raises(OptedOut, match="The file is of a person who has opted out"):  # once it was in line
            await app.store.run(import_posts, submitted.clone, Limits(), threading.Event())
        assert await app.store.run(lambda db: db.table("posts").count_where("author = ?", [HANDLE])) == 0
        assert "another" not in {model.handle for model in await app.commands.models()}


async def test_a_member_of_discord_opts_out_by_id(tmp_path: Path) -> None:
    async with mynah(tmp_path / "data") as app:
        await app.store.run(live, HANDLE, SECRET, f"discord:{MEMBER}")
        await app.store.run(live, "grace", "what grace said")
        await app.commands.people.ask("77", f"discord:{MEMBER}", "5")
        note = f"asked for by discord:{MEMBER}@7"  # as older versions wrote
        await app.store.run(lambda db: db.execute("update clone_history set detail = ?", [note]).rowcount)
        assert await app.commands.people.may_forget(HANDLE, MEMBER)
        assert not await app.commands.people.may_forget("grace", MEMBER)
        forgotten = await app.commands.people.optout(MEMBER, "discord")
        assert forgotten.handles == (HANDLE,)
        assert left(tmp_path / "data", SECRET, HANDLE, MEMBER) == []
        with pytest.raises(OptedOut):
            await app.commands.people.ask(MEMBER, "discord:1", "5")
        with pytest.raises(OptedOut):
            await app.commands.people.refuse_opted_out(HANDLE)
        await app.commands.people.refuse_opted_out("grace")


async def test_a_clone_in_line_is_forgotten_too(tmp_path: Path) -> None:
    async with mynah(tmp_path / "data") as app:
        file = tmp_path / "posts.csv"
        file.write_text(f"text,username\n{SECRET},{HANDLE}\n")
        await app.commands.clone(CloneRequest(HANDLE, file))
        assert (await app.commands.people.forget(HANDLE)).handles == (HANDLE,)
        assert await app.commands.train_status() == []
        assert left(tmp_path / "data", HANDLE) == []


async def test_files_that_a_crash_left_are_deleted_at_the_next_start(tmp_path: Path) -> None:
    gone = new_id()
    surround(tmp_path / "data", gone)
    async with mynah(tmp_path / "data") as app:
        assert left(tmp_path / "data" / "cards", gone) == []
        assert left(tmp_path / "data" / "cache", gone) == []
        assert left(tmp_path / "data" / "wandb", gone) == []
        with pytest.raises(NotFound):
            await app.commands.people.forget(HANDLE)


async def test_consent_taken_back_silences_a_voice(tmp_path: Path) -> None:
    async with mynah(tmp_path / "data") as app:
        await app.store.run(live, HANDLE, SECRET)
        await app.store.run(live, "grace", "what grace said")
        post = await app.store.run(due, HANDLE)
        await app.commands.people.withdraw(HANDLE)
        for use in ALL_USES:
            with pytest.raises(NoConsent, match="withdrew"):
                await app.commands.people.refuse_beyond(HANDLE, use)
        with pytest.raises(NoConsent, match="withdrew"):
            await app.commands.clone(CloneRequest(HANDLE, None))
        with pytest.raises(NoConsent, match="withdrew"):
            await app.commands.blend(BlendRequest((HANDLE, "grace")))
        with pytest.raises(NoConsent, match="withdrew"):
            await app.commands.export(HANDLE, tmp_path / "exported")
        with pytest.raises(NoConsent, match="withdrew"):
            await app.commands.card(HANDLE)
        assert await app.store.run(lambda db: sending.claim(db, post, datetime.now(UTC))) is None
        assert "withdrew" in (await app.store.run(outbox.get, post)).reason
        recorded = {each.handle: each for each in await app.commands.people.consents()}
        assert recorded[HANDLE].withdrawn_at is not None
        assert recorded["grace"].withdrawn_at is None


async def test_the_example_goes_for_good_once_it_is_opted_out(tmp_path: Path) -> None:
    async def yes(_: str) -> bool:
        return True

    async with mynah(tmp_path / "data") as app:
        answer = await people.FAMILY.do(app.commands, parse(f"/forget @{bundled_handle()}"), yes)
        assert answer.lines[-1].startswith("The example comes back at the next start")
    async with mynah(tmp_path / "data") as app:
        assert (await app.commands.people.optout(bundled_handle())).handles == (bundled_handle(),)
    async with mynah(tmp_path / "data") as app:
        assert await app.commands.models() == []


async def test_a_consent_covers_what_it_names(tmp_path: Path) -> None:
    async with mynah(tmp_path / "data") as app:
        await app.store.run(live, HANDLE, SECRET)
        persona = await app.store.run(personas.find, HANDLE)
        assert persona is not None
        await app.store.run(consents.record, persona.id, "policy", HANDLE, "console", "x_api", scope_of("policy"))
        await app.commands.people.refuse_beyond(HANDLE, "post")
        with pytest.raises(NoConsent, match="does not cover this"):
            await app.commands.push(HANDLE)


async def test_the_policy_says_which_accounts_may_be_collected(tmp_path: Path) -> None:
    allowed = Settings.model_validate(
        {"data_dir": tmp_path, "consent": {"handles": "allow-list", "allowed": "@Ada bob"}}
    )
    async with running(allowed, make_clones=False) as app:
        assert await app.commands.people.consent_for("@ADA") == "allow_list"
        assert await app.commands.people.consent_for("me", connected=True) == "own_account"
        with pytest.raises(CommandError, match="not among"):
            await app.commands.people.consent_for("carol")
    async with mynah(tmp_path) as app:
        with pytest.raises(CommandError, match="Only the connected account"):
            await app.commands.people.consent_for("ada")


def test_an_opt_out_cannot_be_read_from_another_database() -> None:
    assert optouts.digest("ada", b"one") != optouts.digest("ada", b"two")
    assert optouts.digest("ada", b"one") == optouts.digest("ada", b"one")


@pytest.mark.parametrize("words", ["forget", "optout", "consents withdraw"])
async def test_nothing_is_deleted_before_somebody_says_yes(tmp_path: Path, words: str) -> None:
    asked: list[str] = []

    async def no(question: str) -> bool:
        asked.append(question)
        return False

    async with mynah(tmp_path / "data") as app:
        await app.store.run(live, HANDLE, SECRET)
        with pytest.raises(CommandError, match=r"was not confirmed: nothing was changed\. .*--yes"):
            await people.FAMILY.do(app.commands, parse(f"/{words} @{HANDLE}"), no)
        assert f"@{HANDLE}" in asked.pop()
        assert HANDLE in await app.commands.handles()
        assert (await app.commands.people.privacy()).opted_out == 0
        with pytest.raises(MynahError, match="There is no persona @nobody" if words != "optout" else "is not a handle"):
            await people.FAMILY.do(app.commands, parse(f"/{words} @{'nobody' if words != 'optout' else '!'}"), no)
        assert asked == []
