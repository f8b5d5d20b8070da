"""Whatever happens in whatever order: no post is published twice, none in a pause, and every row ends with the truth.

The platform is invented and honest about nothing: answers are lost, posts show late, are deleted or edited by hand,
the bot is killed before or after a post has got through, and the clock jumps. It takes the same text as often as it is
sent. The owner answers what is asked truthfully.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar, get_args
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlite_utils import Database

from bot.notices import Notices
from bot.posting.lane import LOOKS_AFTER_S, Lane, Rules
from bot.posting.outbox import Outbox
from bot.posting.posting import Posting
from bot.posting.sender import NotSent, Outcome, Seen, Sent, Unclear
from storage import outbox, personas, sending
from storage.database import Store, migrate
from storage.outbox import Decided, OutboxPost, State
from tests.servers.x_clock import START, Clock

T = TypeVar("T")

FATES = ("published", "answer lost", "killed after", "killed before", "never arrived", "refused", "later", "halted")


class Killed(BaseException):
    """The end of the process, as far as the lane can tell."""


@dataclass
class Shown:
    id: str
    text: str
    at_look: int
    """The first look at which the timeline shows it."""


@dataclass
class Platform:
    fate: str = "published"
    lag: int = 0
    published: list[str] = field(default_factory=list)
    timeline: list[Shown] = field(default_factory=list)
    looks: int = 0
    paused: bool = False
    in_pause: int = 0

    async def send(self, post: OutboxPost) -> Outcome:
        fate, self.fate = self.fate, "published"
        if fate in ("published", "answer lost", "killed after"):
            self.in_pause += self.paused
            self.published.append(post.text)
            shown = Shown(str(100 + len(self.published)), post.text, self.looks + self.lag)
            self.timeline.append(shown)
        match fate:
            case "published":
                return Sent(shown.id)
            case "killed before" | "killed after":
                raise Killed
            case "answer lost" | "never arrived":
                return Unclear("lost")
            case "refused":
                return NotSent("refused", is_final=True)
        return NotSent(fate, halts=fate == "halted")

    async def newest(self, target: str) -> str | NotSent:
        return self.timeline[-1].id if self.timeline else "0"

    async def find(self, post: OutboxPost, taken: frozenset[str]) -> Seen | NotSent:
        self.looks += 1
        assert post.since_id is not None
        there = [
            shown
            for shown in self.timeline
            if shown.at_look <= self.looks and shown.id not in taken and int(shown.id) > int(post.since_id)
        ]
        found = next((shown.id for shown in there if shown.text == post.text), None)
        return Seen(found, max((shown.id for shown in there), key=int, default=None))


class PostingMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.latest = START
        self.clock, self.platform, self.decided = Clock(), Platform(), 0
        self.store = Store(Path(":memory:"), _in_memory)
        self.run(self.store.start())
        self.persona = self.run(self.store.run(personas.ensure, "ada"))
        self.start_bot()

    def start_bot(self) -> None:
        """As `Posting.working` does."""
        notices = Notices(self.store)
        self.posting = Posting(self.store, notices, clock=self.clock)
        self.outbox = Outbox(self.store, self.posting, ZoneInfo("UTC"))
        self.lane = Lane("x", self.platform, self.store, notices, self.clock, Rules)
        look_at = self.clock.time + timedelta(seconds=LOOKS_AFTER_S[0])
        self.run(self.store.run(sending.recover, look_at, self.clock.time))

    @rule(text=st.sampled_from(["a", "b", "c"]), again=st.booleans())
    def decide(self, text: str, again: bool) -> None:
        self.decided += not again
        persona, key = self.persona.id, str(self.decided)
        decided = Decided(persona, None, None, "x", text if again else f"{text}{key}", self.clock.time, key)
        self.run(self.store.run(outbox.decide, decided, self.clock.time))

    @rule(fate=st.sampled_from(FATES), lag=st.integers(0, 8))
    def destine(self, fate: str, lag: int) -> None:
        self.platform.fate, self.platform.lag = fate, lag

    @rule(steps=st.integers(1, 8), seconds=st.sampled_from([1, 60, 500]))
    def work(self, steps: int, seconds: int) -> None:
        for _ in range(steps):
            self.step()
            self.clock.time += timedelta(seconds=seconds)

    @rule(days=st.sampled_from([-400, -1, 0, 1, 400]))
    def jump(self, days: int) -> None:
        self.clock.time += timedelta(days=days)
        self.latest = max(self.latest, self.clock.time)

    @rule()
    def pause(self) -> None:
        self.run(self.posting.pause("owner"))
        self.platform.paused = True

    @rule()
    def resume(self) -> None:
        self.platform.paused = False
        self.run(self.posting.resume())

    @rule()
    def restart(self) -> None:
        self.start_bot()

    @rule(edit=st.booleans())
    def change_by_hand(self, edit: bool) -> None:
        if self.platform.timeline:
            last = self.platform.timeline.pop()
            if edit:
                self.platform.timeline.append(Shown(str(int(last.id) + 50), "edited", 0))

    @rule()
    def answer(self) -> None:
        for entry in self.run(self.outbox.posts(("asked",))):
            is_there = entry.post.text in self.platform.published
            self.run(self.outbox.answer(entry.post.id, "sent" if is_there else "resend", "owner"))

    @invariant()
    def nothing_is_doubled(self) -> None:
        if hasattr(self, "platform"):
            assert all(count == 1 for count in Counter(self.platform.published).values())
            assert self.platform.in_pause == 0

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self.clock.time = max(self.latest, self.clock.time)
        self.resume()
        for _ in range(12):
            self.work(10, 500)
            self.answer()
            self.resume()
        rows = self.run(self.store.run(outbox.listed, get_args(State)))
        open_rows = [row.state for row in rows if row.state not in ("sent", "skipped", "failed")]
        told = {
            row.text: row.state == "sent" for row in rows if row.state != "skipped" or "same text" not in row.reason
        }
        self.run(self.store.close())
        self.loop.close()
        assert open_rows == []
        assert {text for text, is_sent in told.items() if is_sent} == set(self.platform.published)

    def step(self) -> None:
        try:
            self.run(self.lane.step())
        except Killed:
            self.start_bot()

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)


def test_nothing_is_doubled_lost_or_published_in_a_pause() -> None:
    run_state_machine_as_test(
        PostingMachine,
        settings=settings(
            max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def _in_memory(path: Path) -> Database:
    db = Database(memory=True)
    db.execute("pragma foreign_keys = on")
    migrate(db)
    return db
