"""When something is due, as a person thinks of it. A rule knows no zone: `bot.schedules.times` gives its times one.

Weekdays are counted as Python does: Monday is 0.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Weekly:
    """At times of day, on days of the week."""

    days: frozenset[int]
    times: tuple[time, ...]

    def on(self, day: date, seed: str) -> list[datetime]:
        """Its times on a day, by the clock on the wall, in order."""
        return [datetime.combine(day, at) for at in sorted(self.times)] if day.weekday() in self.days else []


@dataclass(frozen=True, slots=True)
class Cron:
    """The five fields of crontab(5)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Neither day field begins with a `*`: then one of the two is enough, as crontab(5) has it."""

    def on(self, day: date, seed: str) -> list[datetime]:
        in_month, in_week = day.day in self.days, day.weekday() in self.weekdays
        fits = in_month or in_week if self.either_day else in_month and in_week
        if day.month not in self.months or not fits:
            return []
        return [
            datetime.combine(day, time(hour, minute)) for hour in sorted(self.hours) for minute in sorted(self.minutes)
        ]


@dataclass(frozen=True, slots=True)
class Random:
    """So many times a day, somewhere between two times; where the second is not later, it is of the next day.

    The times of a day follow from the day and the schedule alone, so that a restart keeps them. Each lies in a part of
    the window of its own, away from that part's edges: two are never close together.
    """

    count: int
    opens: time
    closes: time
    days: frozenset[int] = EVERY_DAY

    @property
    def window(self) -> timedelta:
        """How long it is."""
        start, end = (datetime.combine(date(2000, 1, 1), at) for at in (self.opens, self.closes))
        return end - start if end > start else end - start + timedelta(days=1)

    def on(self, day: date, seed: str) -> list[datetime]:
        if day.weekday() not in self.days:
            return []
        start, part = datetime.combine(day, self.opens), self.window / self.count
        places = (number + 0.1 + 0.8 * _fraction(f"{seed} {day} {number}") for number in range(self.count))
        return [(start + part * place).replace(microsecond=0) for place in places]


@dataclass(frozen=True, slots=True)
class Interval:
    """Again and again after a time that passes, whatever the clock on the wall does."""

    every: timedelta


Rule = Weekly | Cron | Random | Interval


def _fraction(words: str) -> float:
    """A number from 0 to 1 that belongs to these words."""
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:6], "big") / 2**48
