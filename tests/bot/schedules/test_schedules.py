"""`/schedule`, from the line that is typed to the rows and the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from pydantic import SecretStr

from bot.commands import Commands
from bot.errors import CommandError, NotFound
from bot.gateways.command_line import parse
from bot.gateways.families.schedules import FAMILY
from bot.requests import RefreshRequest
from bot.schedules.runner import Refused, Runner, Written
from bot.schedules.schedules import Schedules
from bot.schedules.targets import what_is_missing
from bot.settings import Settings, Tokens
from bot.settings.schedule import Schedule as Defaults
from storage import outbox, personas, schedules
from storage.database import Writer
from storage.errors import StorageError
from storage.personas import Persona
from storage.schedules import Schedule

NOON = datetime(2026, 3, 27, 12, tzinfo=UTC)  # a Friday; Madrid's clocks change on Sunday


class Standing:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        raise AssertionError("nobody waits by this clock")


class Author:
    async def write(self, persona: Persona, prompt: str, target: str, due_at: datetime) -> Written | Refused:
        return Refused("It is a copy.") if prompt == "copy" else Written(f"{prompt} {persona.handle}", None)


async def _no_refresh(request: RefreshRequest) -> None:
    raise AssertionError("nothing is to be refreshed")


@dataclass
class Desk:
    """Where a person types."""

    schedules: Schedules
    store: Writer
    clock: Standing
    says_yes: bool = True

    async def type(self, line: str) -> list[str]:
        async def ask(question: str) -> bool:
            return self.says_yes

        # The family takes nothing else from the commands.
        answer = await FAMILY.do(cast(Commands, self), parse(line), ask)
        return list(answer.lines)

    async def stored(self) -> list[Schedule]:
        return await self.store.run(schedules.listed)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store, clock, author = Writer(tmp_path / "mynah.db"), Standing(), Author()
    await store.start()
    await store.run(personas.ensure, "ada")
    settings = Settings(timezone="Europe/Madrid", data_dir=tmp_path, schedule=Defaults(target="dry", max_per_persona=3))
    runner = Runner(store, author, _no_refresh, clock=clock)
    yield Desk(Schedules(settings, store, runner, author, clock), store, clock)
    await store.close()


async def test_adding_shows_the_next_three_runs_in_the_zone(desk: Desk) -> None:
    assert await desk.type('/schedule add @ada "every day 9:30"') == [
        "1  @ada  every day 9:30 → dry",
        "   Sat 28 Mar 2026 09:30 · Sun 29 Mar 2026 09:30 · Mon 30 Mar 2026 09:30 (Europe/Madrid)",
    ]
    (stored,) = await desk.stored()
    assert stored.next_due_at == datetime(2026, 3, 28, 8, 30, tzinfo=UTC)


async def test_options_are_kept(desk: Desk) -> None:
    await desk.type(
        "/schedule add @ada every weekday 9:30 to=discord:42 zone=Asia/Tokyo jitter=5m quiet=23-7 missed=all "
        'from=2026-04-01 until=2026-04-30 prompt="My dream"'
    )
    (stored,) = await desk.stored()
    assert (stored.words, stored.target, stored.zone, stored.jitter_s, stored.quiet, stored.misfire, stored.prompt) == (
        "every weekday 9:30", "discord:42", "Asia/Tokyo", 300, "23:00-07:00", "all", "My dream",
    )  # fmt: skip
    assert stored.begins_at == datetime(2026, 3, 31, 15, tzinfo=UTC)
    assert stored.ends_at == datetime(2026, 4, 30, 14, 59, 59, tzinfo=UTC)


async def test_zones_quotes_and_the_end_of_the_day_are_taken_as_they_are_meant(desk: Desk) -> None:
    await desk.type("/schedule add @ada “every day 9:30” zone=europe/lisbon quiet=20-24")
    (stored,) = await desk.stored()
    assert (stored.words, stored.zone, stored.quiet) == ("every day 9:30", "Europe/Lisbon", "20:00-00:00")


@pytest.mark.parametrize(
    ("target", "missing"),
    [("dry", ""), ("x", "until X_CONSUMER_KEY"), ("discord:5", "DISCORD_TOKEN"), ("webhook:nowhere", "DISCORD_TOKEN")],
)
async def test_a_target_that_nothing_can_be_posted_to_yet_is_taken_with_a_word(
    desk: Desk, target: str, missing: str
) -> None:
    _, _, *mind = await desk.type(f"/schedule add @ada every day 9:30 to={target}")
    assert (missing in mind[0]) if missing else mind == []
    (stored,) = await desk.stored()
    assert stored.target == target


async def test_a_webhook_that_is_none_of_ours_is_told_of(desk: Desk) -> None:
    settings = Settings(tokens=Tokens(discord_token=SecretStr("a")))
    assert "until there is such a webhook" in await what_is_missing("webhook:5", settings, desk.store)


async def test_an_interval_begins_one_interval_from_now_or_where_it_is_told_to(desk: Desk) -> None:
    await desk.type("/schedule add @ada every 3h")
    await desk.type("/schedule add @ada every 3h zone=UTC from=2026-03-27T10:00")
    first, second = await desk.stored()
    assert first.next_due_at == NOON + timedelta(hours=3)
    assert second.next_due_at == datetime(2026, 3, 27, 13, tzinfo=UTC)


async def test_a_refresh_is_scheduled_like_a_post(desk: Desk) -> None:
    told = await desk.type('/schedule add @ada refresh "every sunday 4:00"')
    assert told[0] == "1  @ada  refresh, every sunday 4:00"
    (stored,) = await desk.stored()
    assert (stored.action, stored.target) == ("refresh", "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/schedule add @nobody every day 9:30", "There is no persona @nobody"),
        ("/schedule add @ada", "When?"),
        ("/schedule add every day 9:30", "needs a handle"),
        ("/schedule add @ada every 5m", "comes too often"),
        ("/schedule add @ada every day 3:00 quiet=23-7", "never due outside of the quiet hours 23:00-07:00"),
        ("/schedule add @ada every day 9:30 until=2026-03-01", "never due"),
        ("/schedule add @ada every day 9:30 to=twitter", "no place to post to"),
        ("/schedule add @ada every day 9:30 zone=Mars", "'Mars' is no time zone. Such as"),
        ("/schedule add @ada every day 9:30 zone=madrid", "Did you mean Europe/Madrid?"),
        ("/schedule add @ada every day 9:30 jitter=soon", "Such as 90s, 5m or 1h"),
        ("/schedule add @ada every day 9:30 missed=maybe", "'maybe' is nothing to do about missed runs. Give missed="),
        ("/schedule add @ada every day 9:30 quiet=0-24", "would be the whole day"),
        ("/schedule add @ada every day 9:30 from=tomorrow", "is no day"),
        ("/schedule add @ada every day 9:30 from=9999-12-31T23:59", "is too far away"),
        ("/schedule pause 7", "There is no schedule 7"),
        ("/schedule pause", "Which schedule?"),
        ("/schedule resume x", "Which schedule?"),
        ("/schedule preview 1 count=1000", "1 to 50"),
        ("/schedule dance", "cannot 'dance'"),
    ],
)
async def test_what_cannot_be_is_refused_with_nothing_changed(desk: Desk, line: str, said: str) -> None:
    with pytest.raises((CommandError, NotFound, StorageError)) as refused:
        await desk.type(line)
    assert said in str(refused.value)
    assert await desk.stored() == []


async def test_a_persona_has_so_many_schedules_and_no_more(desk: Desk) -> None:
    for hour in (9, 10, 11):
        await desk.type(f"/schedule add @ada every day {hour}:00")
    with pytest.raises(StorageError, match="3 schedules"):
        await desk.type("/schedule add @ada every day 12:00")


async def test_a_schedule_that_is_typed_twice_is_refused_and_another_one_is_not(desk: Desk) -> None:
    await desk.type("/schedule add @ada every day 9:30 until=2026-06-30")
    for twin in ("", "from=2026-05-01", "missed=all"):
        with pytest.raises(CommandError, match=r"Schedule 1 does that already\. /schedule list shows it\."):
            await desk.type(f"/schedule add @ada every day 9:30 {twin}")
    await desk.type("/schedule add @ada every day 9:30 from=2026-09-01")
    await desk.type("/schedule add @ada every day 9:30 quiet=9-17:00 jitter=8h")
    await desk.type("/schedule pause 1")
    with pytest.raises(CommandError, match="/schedule resume 1 goes on"):
        await desk.type("/schedule add @ada every day 9:30 until=2026-06-30")


async def test_a_paused_schedule_skips_what_is_due_until_it_is_resumed(desk: Desk) -> None:
    await desk.type("/schedule add @ada every day 9:30 missed=all")
    assert (await desk.type("/schedule pause 1"))[1] == "   paused (Europe/Madrid)"
    with pytest.raises(CommandError, match="paused already"):
        await desk.type("/schedule pause 1")
    desk.clock.at += timedelta(days=3)
    assert "Tue 31 Mar 2026 09:30" in (await desk.type("/schedule resume 1"))[1]
    assert await desk.type("/schedule history 1") == [
        "Sat 28 Mar 2026 09:30 to Mon 30 Mar 2026 14:00  skipped: The schedule was paused."
    ]
    with pytest.raises(CommandError, match="active, not paused"):
        await desk.type("/schedule resume 1")


async def test_removing_asks_first(desk: Desk) -> None:
    await desk.type("/schedule add @ada every day 9:30")
    desk.says_yes = False
    with pytest.raises(CommandError, match="Removing schedule 1 was not confirmed: nothing was changed"):
        await desk.type("/schedule remove 1")
    desk.says_yes = True
    assert await desk.type("/schedule remove 1") == ["Schedule 1 is removed."]
    assert await desk.type("/schedule list") == ["There are no schedules."]


async def test_preview_shows_as_many_runs_as_asked_for(desk: Desk) -> None:
    await desk.type("/schedule add @ada every weekday 9:30")
    times = (await desk.type("/schedule preview 1 count=5"))[1]
    assert times.count("09:30") == 5
    assert "Sat" not in times


async def test_a_dry_run_writes_what_it_would_post_and_stores_nothing(desk: Desk) -> None:
    assert await desk.type('/schedule add @ada "every day 9:30" prompt=Hello count=2 --dry-run') == [
        "Sat 28 Mar 2026 09:30  Hello ada",
        "Sun 29 Mar 2026 09:30  Hello ada",
    ]
    assert await desk.type('/schedule add @ada "every day 9:30" prompt=copy --dry-run') == [
        "Sat 28 Mar 2026 09:30  nothing: It is a copy."
    ]
    assert await desk.stored() == []
    assert await desk.store.run(outbox.read, "") == []


async def test_erasing_a_persona_takes_its_schedules_along(desk: Desk) -> None:
    await desk.type("/schedule add @ada every day 9:30")
    persona = await desk.store.run(personas.find, "ada")
    assert persona is not None
    await desk.store.run(personas.erase, persona.id)
    assert await desk.stored() == []
