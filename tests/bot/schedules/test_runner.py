"""Schedules run: by APScheduler and the machine's clock, through failures, and through `kill -9`."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from bot.errors import NotFound, VoiceError
from bot.posting.clock import Clock
from bot.requests import RefreshRequest
from bot.schedules.runner import Refused, Runner, Written
from storage import outbox, personas, schedules, switches
from storage.database import Writer
from storage.errors import MynahError
from storage.outbox import OutboxPost
from storage.personas import Persona
from storage.schedules import Action, New, Run, Schedule
from tests.running import ROOT

PATIENCE_S = 15.0


class Author:
    """Writes what it was told to, one after another, and remembers what it was asked."""

    def __init__(self, *answers: Written | Refused | MynahError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, str]] = []
        self.was_asked = asyncio.Event()

    async def write(self, persona: Persona, prompt: str, target: str, due_at: datetime) -> Written | Refused:
        self.asked.append((persona.handle, prompt, target))
        self.was_asked.set()
        answer = self._answers.pop(0) if self._answers else Written("A post.", None)
        if isinstance(answer, MynahError):
            raise answer
        return answer


class Ahead:
    """A clock that is ahead of the machine's."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        raise AssertionError("nobody waits by this clock")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Writer]:
    store = Writer(tmp_path / "mynah.db")
    await store.start()
    yield store
    await store.close()


def begin(db: Database, action: Action = "post", due_in: float = 0.0) -> Schedule:
    """A schedule of @ada's, first due so many seconds from now, and then every day."""
    begins = (datetime.now(UTC) + timedelta(seconds=due_in)).replace(microsecond=0)
    persona = personas.ensure(db, "ada")
    new = New(
        persona_id=persona.id, action=action, words="every 24h", kind="interval", zone="UTC", target="dry",
        prompt="My dream", jitter_s=0, quiet="", begins_at=begins, ends_at=None, misfire="skip", created_by="console",
        created_at=begins,
    )  # fmt: skip
    schedule = schedules.add(db, new, 10)
    schedules.set_next(db, schedule.id, begins)
    return schedule


@asynccontextmanager
async def running(
    store: Writer, author: Author, refresh: Callable[[RefreshRequest], object] | None = None, clock: Clock | None = None
) -> AsyncIterator[Runner]:
    async def refreshes(request: RefreshRequest) -> None:
        if refresh is None:
            raise AssertionError("nothing is to be refreshed")
        refresh(request)

    runner = Runner(store, author, refreshes, clock=clock)
    async with runner.working():
        yield runner


async def first_run(store: Writer, schedule: Schedule) -> Run:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if runs := await store.run(schedules.runs, schedule.id):
                return runs[0]
            await asyncio.sleep(0.02)


async def posts(store: Writer) -> list[OutboxPost]:
    return await store.run(outbox.read, "order by due_at")


async def test_what_is_due_is_written_and_decided_with_its_version_and_key(store: Writer) -> None:
    schedule = await store.run(begin)
    author = Author(Written("A post.", None, "draft", schedule.begins_at + timedelta(days=2)))
    async with running(store, author):
        run = await first_run(store, schedule)
    (post,) = await posts(store)
    assert author.asked == [("ada", "My dream", "dry")]
    assert (post.text, post.state, post.due_at, post.schedule_id) == (
        "A post.",
        "draft",
        schedule.begins_at,
        schedule.id,
    )
    assert (run.outcome, run.post_id) == ("decided", post.id)
    following = (await store.run(schedules.get, schedule.number)).next_due_at
    assert following == schedule.begins_at + timedelta(days=1)


async def test_a_schedule_that_is_added_while_it_works_is_run_when_its_time_comes(store: Writer) -> None:
    async with running(store, Author()) as runner:
        schedule = await store.run(begin, "post", 2.0)
        runner.changed(schedule.id)
        run = await first_run(store, schedule)
    assert run.due_at == schedule.begins_at <= run.at < schedule.begins_at + timedelta(seconds=10)


async def test_what_the_guard_refuses_is_skipped_with_the_reason(store: Writer) -> None:
    schedule = await store.run(begin)
    async with running(store, Author(Refused("None of 8 texts may leave."))):
        run = await first_run(store, schedule)
    assert (run.outcome, run.reason, await posts(store)) == ("skipped", "None of 8 texts may leave.", [])


async def test_a_persona_without_a_voice_is_skipped_at_once(store: Writer) -> None:
    schedule = await store.run(begin)
    author = Author(NotFound("@ada has no ready clone.", "Make one."))
    async with running(store, author):
        run = await first_run(store, schedule)
    assert (run.outcome, run.reason, len(author.asked)) == ("skipped", "@ada has no ready clone. Make one.", 1)


async def test_a_voice_that_fails_is_tried_again_a_minute_later(store: Writer) -> None:
    schedule = await store.run(begin)
    author, clock = Author(VoiceError("It stopped.", ""), Written("At last.", None)), Ahead()
    async with running(store, author, clock=clock) as runner:
        await asyncio.wait_for(author.was_asked.wait(), PATIENCE_S)
        runner.changed(schedule.id)
        await asyncio.sleep(0.2)
        assert len(author.asked) == 1
        clock.by = timedelta(minutes=2)
        runner.changed(schedule.id)
        await first_run(store, schedule)
    assert [post.text for post in await posts(store)] == ["At last."]


async def test_a_voice_that_goes_on_failing_costs_one_run(store: Writer) -> None:
    schedule = await store.run(begin)
    author, clock = Author(*[VoiceError("It stopped.", "Try again.")] * 3), Ahead()
    async with running(store, author, clock=clock) as runner, asyncio.timeout(PATIENCE_S):
        while not await store.run(schedules.runs, schedule.id):
            clock.by += timedelta(seconds=30)
            runner.changed(schedule.id)
            await asyncio.sleep(0.05)
    (run,) = await store.run(schedules.runs, schedule.id)
    assert (run.outcome, run.reason, len(author.asked)) == ("skipped", "It stopped. Try again.", 3)


async def test_nothing_is_written_while_posting_is_paused(store: Writer) -> None:
    schedule = await store.run(begin)
    await store.run(switches.set, switches.PAUSE, "a test", "me", datetime.now(UTC))
    author = Author()
    async with running(store, author) as runner:
        await asyncio.sleep(0.3)
        assert author.asked == []
        await store.run(switches.clear, switches.PAUSE)
        runner.changed(schedule.id)
        await first_run(store, schedule)
    assert len(await posts(store)) == 1


async def test_a_persona_is_refreshed_when_that_is_due(store: Writer) -> None:
    schedule = await store.run(begin, "refresh")
    asked: list[RefreshRequest] = []
    async with running(store, Author(), asked.append):
        run = await first_run(store, schedule)
    assert asked == [RefreshRequest("ada", None, "schedule 1")]
    assert (run.outcome, await posts(store)) == ("refreshed", [])


async def test_a_database_that_is_gone_ends_whoever_works_inside(store: Writer) -> None:
    with pytest.raises(MynahError):
        async with running(store, Author()) as runner:
            schedule = await store.run(begin)
            await store.close()
            runner.changed(schedule.id)
            await asyncio.sleep(PATIENCE_S)


@pytest.mark.parametrize("dies", ["before", "after"])
def test_kill_at_either_side_of_the_transaction_leaves_one_post(tmp_path: Path, dies: str) -> None:
    path = tmp_path / "mynah.db"
    store = Writer(path)
    asyncio.run(_prepare(store))

    def once(dies: str) -> int:
        script = Path(__file__).with_name("one_run.py")
        command = [sys.executable, str(script), str(path), dies]
        return subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, timeout=60).returncode

    assert once(dies) == -signal.SIGKILL
    killed = asyncio.run(_texts(path))
    assert len(killed) == (0 if dies == "before" else 1)
    if dies == "before":
        assert once("not") == 0
    assert len(asyncio.run(_texts(path))) == 1


async def _prepare(store: Writer) -> None:
    await store.start()
    await store.run(begin)
    await store.close()


async def _texts(path: Path) -> list[str]:
    store = Writer(path)
    await store.start()
    found = [post.text for post in await posts(store)]
    await store.close()
    return found
