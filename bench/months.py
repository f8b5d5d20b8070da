"""`make bench-months`: three months of posting on a virtual clock, with 200 `kill -9`, a bad network and an owner.

The runner of schedules and the poster are the product's own, in a real process on a real database; X is the local one,
which loses answers, refuses, lags and lies as X-API.md tells. Kills fall at moments drawn beforehand, half of them just
after a post has reached X. The owner pauses, resumes, answers what is asked, posts, deletes and edits by hand.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from bench.months_bot import Order, Word, World, live
from bench.months_clock import SharedTime
from bench.months_plan import Verdict, judge, plan_schedules
from bench.months_world import UnreliableX
from bench.report import QUICK, Figure, Report, at_most
from bot.data_folder import DataFolder
from storage.database import open_database, open_readonly
from tests.servers.x_keys import secret

SEED = 20261124
DAYS, KILLS = (10, 20) if QUICK else (90, 200)
START = datetime(2027, 1, 20, tzinfo=UTC)
"""So that the clocks of both America and Europe change within the three months."""
SETTLES = timedelta(days=2)
"""After the last run, for what is still open."""
_LAST_HOURS = timedelta(hours=3)
"""What a bot that is to die gets done meanwhile."""
_LIFE_S = 60.0
"""Real seconds in which a bot has to get on."""


@dataclass
class Tally:
    """What happened."""

    kills: int = 0
    pauses: int = 0
    paused_for: timedelta = timedelta()
    posts_while_paused: int = 0
    asked: int = 0
    halts: int = 0
    by_hand: int = 0


@dataclass
class Months:
    """Fate and the owner, around one data folder."""

    folder: Path
    days: int
    kills: int
    seed: int
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.data = DataFolder(self.folder / "data")
        self.data.create()
        self.time = SharedTime.begin(self.folder / "clock", START)
        self.last_run = START + timedelta(days=self.days)
        self.end = self.last_run + SETTLES
        self.deaths = sorted(self._moment() for _ in range(self.kills))
        self.pauses = sorted(self._moment() for _ in range(max(2, self.days // 10)))
        self.by_hand = sorted(self._moment() for _ in range(self.days))
        self.paused_since: datetime | None = None
        self.pause_ends: datetime | None = None
        self.resume_at: datetime | None = None
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["bench.months_bot", "bench.months_plan", "bench.months_world"])

    def run(self) -> Verdict:
        """All of it; then what the database says is held against what X has."""
        db = open_database(self.data.database)
        plan_schedules(db, START, self.last_run)
        db.close()
        with UnreliableX(self.time, random.Random(self.seed + 1)) as self.x:
            self.account = self.x.world.add_account("bot")
            keys = secret(self.x.keys_for(self.account))
            self.world = World(self.data.root, self.folder / "clock", self.x.url, keys, self.end)
            while not self.live():
                while self.time.is_held:  # X is still at work on what the dead one had sent
                    time.sleep(0.01)
                self.time.advance(timedelta(minutes=self.draw.choice([0, 0, 1, 5, 20, 20, 60, 600])))
        if self.paused_since is not None:
            self._count_paused(self.paused_since, self.end)
        db = open_readonly(self.data.database)
        try:
            return judge(db, self.x, self.account, self.last_run)
        finally:
            db.close()

    def live(self) -> bool:
        """One bot, from its start to its death; whether it reached the end."""
        self.unheard = 0
        ours, its = self.context.Pipe()
        bot = self.context.Process(target=live, args=(self.world, its), daemon=True)
        bot.start()
        its.close()
        try:
            return self._watch(bot, ours)
        finally:
            bot.kill()
            bot.join()
            ours.close()

    def _watch(self, bot: multiprocessing.process.BaseProcess, pipe: Connection) -> bool:
        progress, seen = time.monotonic(), self.time.now()
        while True:
            now = self.time.now()
            if now != seen:
                progress, seen = time.monotonic(), now
            assert time.monotonic() - progress < _LIFE_S, f"the bot does not get on from {now}"
            while pipe.poll(0.001):
                try:
                    word = pipe.recv()
                except EOFError:
                    raise AssertionError(f"the bot ended by itself at {now}") from None
                if word.what == "ended":
                    self._send(pipe, Order("quit"))
                    bot.join(_LIFE_S)
                    return True
                self._hear(word, pipe)
            self._do_as_owner(pipe, now)
            if self.deaths and now >= self.deaths[0]:
                self._die(bot)
                return False
            self._let_go_on(now, *self.deaths[:1])

    def _let_go_on(self, now: datetime, *until: datetime) -> None:
        """Not while the bot has not said yet that it heard an order to pause or to resume."""
        self.time.let_go_on(now if self.unheard else min(self._owner_acts(now), *until, self.end + SETTLES))

    def _owner_acts(self, now: datetime) -> datetime:
        """When the owner does something next."""
        starts = [moment for moment in self.pauses if self.pause_ends is None and now < self.last_run]
        resumes = self.resume_at if self.pause_ends is None else self.pause_ends
        others = [] if resumes is None else [resumes]
        return min([*self.by_hand[:1], *starts[:1], *others, self.end + SETTLES])

    def _die(self, bot: multiprocessing.process.BaseProcess) -> None:
        self.deaths.pop(0)
        self.x.reached.clear()
        now = self.time.now()
        self._let_go_on(now, now + _LAST_HOURS)
        if self.draw.random() < 0.5:
            self.x.reached.wait(0.5)
            time.sleep(self.draw.uniform(0, 0.02))
        else:
            time.sleep(self.draw.uniform(0, 0.2))
        assert bot.exitcode is None, f"the bot ended by itself at {now}"
        bot.kill()
        bot.join()
        time.sleep(0.02)
        self.tally.kills += 1

    def _hear(self, word: Word, pipe: Connection) -> None:
        now = self.time.now()
        match word.what:
            case "begun":
                self._pause_or_resume(pipe, now)
            case "resumed":
                self.unheard -= 1
            case "paused":
                self.unheard -= 1
                if self.paused_since is None:
                    self.paused_since = now
                    self.tally.pauses += 1
            case "halted":
                if self.resume_at is None:
                    self.tally.halts += 1
                    self.resume_at = now + timedelta(hours=3)
            case "asked":
                self.tally.asked += 1
                is_there = word.text in self.x.posted_by(self.account)
                answer = "sent" if is_there else self.draw.choice(["resend", "drop", "look"])
                self._send(pipe, Order("answer", word.id, answer))  # type: ignore[arg-type]

    def _do_as_owner(self, pipe: Connection, now: datetime) -> None:
        if self.by_hand and now >= self.by_hand[0]:
            self.by_hand.pop(0)
            self._write_by_hand()
        if self.pauses and self.pauses[0] <= now < self.last_run and self.pause_ends is None:
            self.pauses.pop(0)
            self.pause_ends = now + timedelta(hours=self.draw.uniform(1, 30))
            self._pause_or_resume(pipe, now)
        is_over = self.pause_ends is not None and now >= self.pause_ends
        if is_over or (self.pause_ends is None and self.resume_at is not None and now >= self.resume_at):
            self._pause_or_resume(pipe, now)

    def _pause_or_resume(self, pipe: Connection, now: datetime) -> None:
        """Say what is wanted: once more to a bot that may not have heard it."""
        if self.pause_ends is not None and now < self.pause_ends:
            self._send(pipe, Order("pause"))
            return
        if self.paused_since is not None:
            self._count_paused(self.paused_since, now)
        self.paused_since = self.pause_ends = self.resume_at = None
        self._send(pipe, Order("resume"))

    def _count_paused(self, since: datetime, until: datetime) -> None:
        self.tally.paused_for += until - since
        a_second_later = since + timedelta(seconds=1)
        self.tally.posts_while_paused += sum(a_second_later < post.created_at < until for post in self.x.posted)

    def _write_by_hand(self) -> None:
        self.tally.by_hand += 1
        there = [post for post in self.x.posted[-3:] if post.id in self.x.world.posts]
        match self.draw.choice(["post", "post", "delete", "edit"]):
            case "delete" if there:
                self.x.delete_by_hand(self.draw.choice(there))
            case "edit" if there:
                self.x.world.edit(self.draw.choice(there), f"edited by hand, {self.time.now()}")
            case _:
                self.x.world.publish(self.account, f"by hand, {self.time.now()}")

    def _send(self, pipe: Connection, order: Order) -> None:
        self.unheard += order.what in ("pause", "resume")
        with suppress(OSError):  # it was killed a moment ago
            pipe.send(order)

    def _moment(self) -> datetime:
        return START + (self.last_run - START) * self.draw.random()


def figures(tally: Tally, verdict: Verdict, kills: int) -> list[Figure]:
    """The claims."""
    return [
        Figure("kill -9 survived while posting", tally.kills, "kills", f">= {kills}", tally.kills >= kills),
        Figure("runs that were due", verdict.runs, "runs", "> 0", verdict.runs > 0),
        at_most("runs lost: neither published nor listed with a reason", verdict.lost, "runs", 0),
        at_most("posts doubled", verdict.doubled, "posts", 0),
        at_most("posts whose row says otherwise than X", verdict.contradicted, "posts", 0),
        at_most("posts while paused", tally.posts_while_paused, "posts", 0),
        at_most("posts beyond a day's limit", verdict.over_limit, "posts", 0),
        at_most("days and months over their budget", verdict.over_budget, "days and months", 0),
    ]


def main() -> int:
    """Measure, and say the figures."""
    report = Report("months", {"days": DAYS, "kills": KILLS, "personas": 5, "seed": SEED})
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        months = Months(Path(folder), DAYS, KILLS, SEED)
        verdict = months.run()
    for what in (months.tally, verdict):
        report.say(", ".join(f"{each.name.replace('_', ' ')} {getattr(what, each.name)}" for each in fields(what)))
    report.say("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(months.x.faults.items())))
    report.measured("the whole run", "s", [time.monotonic() - began])
    return report.conclude(figures(months.tally, verdict, KILLS))


if __name__ == "__main__":
    sys.exit(main())
