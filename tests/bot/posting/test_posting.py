"""The poster as a whole, by the machine's clock: it stops at once when told to, and one process has it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.admin import Admin
from bot.data_folder import DataFolder
from bot.errors import CommandError, NotFound
from bot.notices import Notices
from bot.posting.outbox import Outbox
from bot.posting.posting import Posting
from storage import outbox, personas, sending, switches
from storage.database import Reader, Store
from storage.errors import StorageError
from storage.outbox import Decided
from tests.bot.posting.desk import Desk
from tests.running import ROOT
from tests.servers.x import Trouble

UTC_ZONE = ZoneInfo("UTC")


async def decide(store: Store, texts: list[str], target: str = "x") -> list[str]:
    persona, now = await store.run(personas.ensure, "ada"), datetime.now(UTC)
    posts = [Decided(persona.id, None, None, target, text, now, text) for text in texts]
    return [id for post in posts if (id := await store.run(outbox.decide, post, now))]


async def until_sent(store: Store, count: int) -> None:
    for _ in range(1000):
        if (await store.run(outbox.counts)).get("sent", 0) >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{count} posts were not sent in time")


def poster(desk: Desk) -> Posting:
    posting = Posting(desk.store, desk.notices)
    posting.register("x", desk.sender)
    return posting


async def test_pause_stops_everything_within_a_second_and_survives_a_restart(desk: Desk) -> None:
    desk.x.break_with(Trouble("POST", "/2/tweets", delay_s=0.02, times=10_000))
    await decide(desk.store, [f"post {n}" for n in range(200)])
    posting = poster(desk)
    admin = Admin(desk.store, posting, desk.notices)
    async with posting.working():
        await until_sent(desk.store, 3)
        assert await admin.pause("owner", "enough")
        await asyncio.sleep(0.5)
        sent = len(desk.published)
        await asyncio.sleep(0.5)
        assert sent == len(desk.published) < 100
    again = poster(desk)
    async with again.working():
        await asyncio.sleep(0.3)
        assert len(desk.published) == sent
        assert [switch.reason for switch in await again.resume()] == ["enough"]
        await until_sent(desk.store, sent + 1)


async def test_decided_post_is_sent_at_once(desk: Desk) -> None:
    posting = poster(desk)
    persona = await desk.store.run(personas.ensure, "ada")
    async with posting.working():
        await asyncio.sleep(0.1)
        began = time.monotonic()
        post = Decided(persona.id, None, None, "x", "now", posting.now(), "now")
        assert await posting.decide(post) is not None
        assert await posting.decide(post) is None
        await until_sent(desk.store, 1)
        assert time.monotonic() - began < 5


async def test_targets_do_not_wait_for_each_other(desk: Desk) -> None:
    desk.x.break_with(Trouble("POST", "/2/tweets", delay_s=1.5))
    await decide(desk.store, ["slow"])
    (dry,) = await decide(desk.store, ["quick"], "dry")
    async with poster(desk).working():
        await until_sent(desk.store, 1)
        assert (await desk.get(dry)).state == "sent"
        assert desk.published == []
    assert desk.published == ["slow"]


async def test_what_is_being_sent_at_the_end_is_waited_for(desk: Desk) -> None:
    desk.x.break_with(Trouble("POST", "/2/tweets", delay_s=1))
    (id,) = await decide(desk.store, ["last words"])
    async with poster(desk).working():
        await asyncio.sleep(0.3)
        assert (await desk.get(id)).state == "claimed"
    assert (await desk.get(id)).state == "sent"


async def test_database_that_fails_ends_what_relies_on_posting(desk: Desk) -> None:
    posting = poster(desk)
    with pytest.raises(StorageError):
        async with posting.working():
            await desk.store.run(lambda db: db.execute("alter table outbox rename to gone"))
            posting.wake()
            await asyncio.sleep(20)
    await desk.store.run(lambda db: db.execute("alter table gone rename to outbox"))


def test_second_bot_on_the_same_folder_refuses_to_start(tmp_path: Path) -> None:
    with DataFolder(tmp_path).held():
        second = subprocess.run(
            [sys.executable, "-m", "bot.cli", "admin", "resume"],
            cwd=ROOT, env={"MYNAH_DATA_DIR": str(tmp_path), "PATH": ""}, capture_output=True, encoding="utf-8",
            timeout=60,
        )  # fmt: skip
    assert second.returncode == 1
    assert "Another Mynah" in second.stderr


async def asked_about(desk: Desk) -> tuple[Outbox, str]:
    (id,) = await decide(desk.store, ["lost?"])
    await desk.store.run(sending.claim, id, desk.clock.time)
    await desk.store.run(sending.unclear, id, "cut", desk.clock.time, desk.clock.time)
    await desk.store.run(outbox.move, id, "asked", "not found", desk.clock.time)
    return Outbox(desk.store, poster(desk), UTC_ZONE), id


@pytest.mark.parametrize(
    ("answer", "state"), [("sent", "sent"), ("resend", "due"), ("drop", "skipped"), ("look", "uncertain")]
)
async def test_person_answers_for_a_post(desk: Desk, answer: str, state: str) -> None:
    orders, id = await asked_about(desk)
    assert [(entry.post.id, entry.handle) for entry in await orders.posts()] == [(id, "ada")]
    entry = await orders.answer(id[-6:].lower(), answer, "owner")  # type: ignore[arg-type]
    assert (entry.post.state, entry.post.decided_by) == (state, None if answer == "look" else "owner")
    _, moves = await orders.show(id)
    assert moves[-1].to_state == state


async def test_only_what_is_asked_about_can_be_answered_for(desk: Desk) -> None:
    orders, _ = await asked_about(desk)
    (due,) = await decide(desk.store, ["due"])
    with pytest.raises(CommandError, match="is due"):
        await orders.answer(due, "resend", "owner")
    assert (await orders.answer(due, "drop", "owner")).post.state == "skipped"
    for nonsense in ("", "abc", "zzzzzzzz", "%%%%%%"):
        with pytest.raises(NotFound):
            await orders.show(nonsense)


async def test_outbox_is_listed_beside_the_bot_and_answered_for_only_there(desk: Desk, tmp_path: Path) -> None:
    _, id = await asked_about(desk)
    reader = Reader(tmp_path / "mynah.db")
    await reader.start()
    beside = Outbox(reader, Posting(reader, Notices(reader)), UTC_ZONE)
    assert [entry.post.id for entry in await beside.posts()] == [id]
    with pytest.raises(CommandError, match="running"):
        await beside.answer(id, "drop", "owner")
    await reader.close()


async def test_stats_tell_what_stops_posting(desk: Desk) -> None:
    posting = poster(desk)
    admin = Admin(desk.store, posting, desk.notices)
    await desk.store.run(switches.set, switches.halt("x"), "no credits", "posting", posting.now())
    await desk.notices.tell("halt", "Posting to x is stopped.", "Pay.")
    await desk.notices.tell("halt", "Posting to x is stopped.", "Pay.")
    await decide(desk.store, ["waits"])
    stats = await admin.stats()
    assert (stats.posts, [stop.name for stop in stats.stops]) == ({"due": 1}, ["halt:x"])
    assert [(notice.message, notice.times) for notice in await admin.notices()] == [("Posting to x is stopped.", 2)]
    assert await admin.notices() == []


async def test_forgotten_persona_takes_its_posts_along(desk: Desk) -> None:
    await decide(desk.store, ["private words"])
    persona = await desk.store.run(personas.ensure, "ada")
    await desk.store.run(personas.erase, persona.id)
    assert await desk.store.run(outbox.counts) == {}
    assert await desk.store.run(lambda db: db.table("outbox_history").count) == 0


async def test_who_is_forgotten_while_their_post_is_being_sent_stops_nobody_elses(desk: Desk) -> None:
    desk.x.break_with(Trouble("POST", "/2/tweets", delay_s=1))
    await decide(desk.store, ["on its way"])
    async with poster(desk).working():
        await asyncio.sleep(0.3)
        assert await desk.store.run(outbox.counts) == {"claimed": 1}
        await desk.store.run(personas.erase, (await desk.store.run(personas.ensure, "ada")).id)
        await decide(desk.store, ["of another"])
        await until_sent(desk.store, 1)
    assert desk.published == ["on its way", "of another"]


async def test_expired_draft_is_skipped_and_never_sent(desk: Desk) -> None:
    persona = await desk.store.run(personas.ensure, "ada")
    now = desk.clock.time
    draft = Decided(persona.id, None, None, "x", "draft", now, "d", state="draft", expires_at=now + timedelta(hours=1))
    id = await desk.store.run(outbox.decide, draft, now)
    assert id is not None
    await desk.work(timedelta(minutes=59))
    assert (await desk.get(id)).state == "draft"
    await desk.store.run(personas.ensure, "bob")
    desk.clock.time += timedelta(hours=2)
    await desk.work()
    assert ((await desk.get(id)).state, desk.published) == ("skipped", [])


async def test_approved_draft_is_sent_however_long_ago_it_was_due(desk: Desk) -> None:
    persona = await desk.store.run(personas.ensure, "ada")
    draft = Decided(persona.id, None, None, "x", "first words", desk.clock.time, "d", state="draft")
    id = await desk.store.run(outbox.decide, draft, desk.clock.time)
    assert id is not None
    desk.clock.time += timedelta(days=3)
    await desk.store.run(outbox.move, id, "due", "approved", desk.clock.time, by="owner", text="better words")
    await desk.work()
    assert ((await desk.get(id)).state, desk.published) == ("sent", ["better words"])


async def test_illegal_moves_are_refused(desk: Desk) -> None:
    (id,) = await decide(desk.store, ["x"])
    with pytest.raises(StorageError, match="cannot become sent"):
        await desk.store.run(outbox.move, id, "sent", "", desk.clock.time)
    with pytest.raises(StorageError, match="only a draft"):
        await desk.store.run(outbox.move, id, "skipped", "", desk.clock.time, text="other")
