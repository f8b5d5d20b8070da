"""Five personas' schedules, and whether what became of each of their runs is what X has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import get_args

from sqlite_utils import Database

from bench.months_bot import POSTS_A_DAY, SETTINGS
from bot.schedules.plan import timetable
from bot.schedules.rules import Cron, Interval, Random, Rule, Weekly
from bot.schedules.words import parse_words
from storage import outbox, personas, schedules
from storage.outbox import State
from storage.schedules import Kind, Misfire, New, Schedule
from tests.servers.x import LocalX
from tests.servers.x_world import Account

_DAY = timedelta(days=1)
_KINDS: dict[type[Rule], Kind] = {Weekly: "weekly", Cron: "cron", Interval: "interval", Random: "random"}
_PLAN: tuple[tuple[str, str, str, Misfire, int], ...] = (
    # persona, words, zone, misfire, jitter in seconds
    ("ada", "every day at 9:30 and 18:15", "Europe/Madrid", "once", 0),
    ("ada", "every 7h", "UTC", "skip", 0),
    ("bob", "random 4 a day between 9 and 22", "America/New_York", "all", 0),
    ("cyd", "15 8-20/4 * * *", "Asia/Kolkata", "all", 600),
    ("cyd", "every sunday 2:30", "America/New_York", "once", 0),
    ("dee", "every weekday 9:30", "Australia/Lord_Howe", "skip", 300),
    ("dee", "every 5h", "UTC", "all", 0),
    ("eve", "random 3 a day between 0:00 and 23:59", "Europe/London", "once", 0),
    ("eve", "every day at 1:30", "Europe/London", "all", 0),
)


@dataclass
class Verdict:
    """What the rows say, and what X has."""

    runs: int = 0
    published: int = 0
    skipped_by_schedule: int = 0
    skipped_in_outbox: int = 0
    failed: int = 0
    uncertain: int = 0
    lost: int = 0
    doubled: int = 0
    contradicted: int = 0
    over_limit: int = 0
    over_budget: int = 0
    """Days and months in which X charged more."""
    dollars: float = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Why posts were skipped in the outbox."""
    lost_ones: list[str] = field(default_factory=list)

    def lose(self, what: str) -> None:
        self.lost += 1
        self.lost_ones.append(what)


def plan_schedules(db: Database, begins: datetime, ends: datetime) -> None:
    """Write them down."""
    for number, (handle, words, zone, misfire, jitter_s) in enumerate(_PLAN):
        new = New(
            persona_id=personas.ensure(db, handle).id,
            action="post",
            words=words,
            kind=_KINDS[type(parse_words(words))],
            zone=zone,
            target="x",
            prompt=f"Schedule {number}",
            jitter_s=jitter_s,
            quiet="",
            begins_at=begins,
            ends_at=ends,
            misfire=misfire,
            created_by="owner",
            created_at=begins,
        )
        schedules.add(db, new, most=10)


def judge(db: Database, x: LocalX, account: Account, ends: datetime) -> Verdict:
    """Hold the rows against X."""
    verdict = Verdict()
    texts = Counter(x.posted_by(account))
    verdict.doubled = sum(count - 1 for count in texts.values())
    rows = {post.id: post for post in outbox.listed(db, get_args(State), limit=1_000_000)}
    for schedule in schedules.listed(db):
        _judge_runs(db, schedule, ends, rows, verdict)
    for post in rows.values():
        verdict.published += post.state == "sent"
        verdict.skipped_in_outbox += post.state == "skipped"
        verdict.failed += post.state == "failed"
        verdict.uncertain += post.maybe_sent
        verdict.contradicted += (post.state == "sent") != (texts[post.text] > 0)
        verdict.contradicted += post.state in ("skipped", "failed") and not post.reason
        if post.state not in ("sent", "skipped", "failed"):
            verdict.lose(f"the post {post.key} is {post.state} since {post.state_since}, due {post.due_at}")
    times = sorted(post.created_at for post in x.posted)
    verdict.over_limit = sum(later - earlier < _DAY for earlier, later in zip(times, times[POSTS_A_DAY:], strict=False))
    days, months = Counter[str](), Counter[str]()
    for charge in x.world.charges:
        days[f"{charge.at:%Y-%m-%d}"] += int(charge.dollars * 1_000_000)
        months[f"{charge.at:%Y-%m}"] += int(charge.dollars * 1_000_000)
    verdict.dollars = float(x.world.spent())
    verdict.over_budget = sum(spent > SETTINGS.x.budget_day * 1e6 for spent in days.values())
    verdict.over_budget += sum(spent > SETTINGS.x.budget_month * 1e6 for spent in months.values())
    verdict.reasons = dict(Counter(_kind_of(post.reason) for post in rows.values() if post.state == "skipped"))
    return verdict


def _kind_of(reason: str) -> str:
    for words in ("a person dropped", "limit", "budget", "Posting was stopped", "too often", "reached"):
        if words in reason:
            return words
    return "late"


def _judge_runs(
    db: Database, schedule: Schedule, ends: datetime, rows: dict[str, outbox.OutboxPost], verdict: Verdict
) -> None:
    told = {run.due_at: run for run in schedules.runs(db, schedule.id, limit=1_000_000)}
    spans = [run for run in told.values() if not run.is_one]
    for due in (run.due for run in takewhile(lambda run: run.due <= ends, timetable(schedule).after(None))):
        verdict.runs += 1
        run = told.get(due)
        if run is None or not run.is_one:
            run = next((span for span in spans if span.due_at <= due < span.until_at), None)
        if run is None or (run.outcome == "skipped" and not run.reason):
            verdict.lose(f"schedule {schedule.number}, {schedule.state}, handled {schedule.handled_until}: due {due}")
        elif run.outcome == "skipped":
            verdict.skipped_by_schedule += 1
        elif run.post_id not in rows:
            verdict.lose(f"schedule {schedule.number}: the post of {due}")
