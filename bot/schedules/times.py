"""From a rule to moments, in a zone: what is next, also where the clocks change.

- A time of day stays what the clock on the wall shows: 9:30 is 9:30 in summer and in winter.
- A time that does not exist, since the clocks go forward over it, comes at the first moment after the gap.
- A time that comes twice, since the clocks go back over it, counts the first time only.
- Two times that fall on one moment, in such a gap, are one.
- An interval is time that passes: the clocks do not matter to it.

A run is known by its nominal time, the one on the wall (of an interval, in UTC): so a zone which changes its rules
moves runs and neither doubles nor loses any. Nothing here reads a clock: a timetable always gives the same times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import pairwise

from bot.schedules.rules import Interval, Rule

EMPTY_DAYS = 3300
"""So many days in a row without a time, and there is none: 29 February may be eight years away (2096, 2104)."""
MARGIN = timedelta(hours=26)
"""More than the clocks of a zone ever jumped: Samoa left out a whole day in 2011."""
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day, on the wall, in which nothing is due; where the second is not later, over midnight."""

    opens: time
    closes: time

    def holds(self, moment: datetime, zone: tzinfo) -> bool:
        at = moment.astimezone(zone).time()
        if self.opens < self.closes:
            return self.opens <= at < self.closes
        return at >= self.opens or at < self.closes

    def end(self, moment: datetime, zone: tzinfo) -> datetime:
        """When the quiet that holds at a moment is over."""
        local = moment.astimezone(zone).replace(tzinfo=None)
        end = datetime.combine(local.date(), self.closes)
        return resolve(end if end > local else end + timedelta(days=1), zone)


@dataclass(frozen=True, slots=True)
class Occasion:
    """One run of a schedule."""

    nominal: datetime
    """By the rule, without a zone."""
    due: datetime
    """The moment, in UTC."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A rule in a zone, from one moment to another.

    `seed` decides on random times and on the jitter: up to `jitter` later than the nominal time, never as late as the
    next one and never into quiet hours.
    """

    rule: Rule
    zone: tzinfo
    seed: str
    begins: datetime
    """Nothing is due before; an interval begins here."""
    ends: datetime | None = None
    jitter: timedelta = timedelta(0)
    quiet: Quiet | None = None

    def after(self, nominal: datetime | None) -> Iterator[Occasion]:
        """Every run whose nominal time is later, in order; after None comes the first one."""
        last: datetime | None = None
        for this, following in _with_next(self._moments(nominal)):
            due = self._jittered(this, following)
            last = last or due.due
            if (self.ends is not None and due.due > self.ends) or due.due - last > timedelta(days=EMPTY_DAYS):
                return  # in the second case all are in quiet hours, it seems
            is_later = nominal is None or due.nominal > nominal
            if is_later and due.due >= self.begins and not self._is_quiet(due.due):
                last = due.due
                yield due

    def after_moment(self, moment: datetime) -> Iterator[Occasion]:
        """Every run that is due later than a moment, in order."""
        early = max(moment, self.begins) - self.jitter - MARGIN
        start = early.astimezone(self._clock).replace(tzinfo=None)
        return (run for run in self.after(start) if run.due > moment)

    @property
    def _clock(self) -> tzinfo:
        return UTC if isinstance(self.rule, Interval) else self.zone

    def _moments(self, after: datetime | None) -> Iterator[Occasion]:
        """Nominal times with their moments, one for each moment, from well before `after`."""
        early = self.begins.astimezone(self._clock).replace(tzinfo=None) - MARGIN - self.jitter
        last: datetime | None = None
        for nominal in self._nominals(after - MARGIN if after is not None and after > early else early):
            moment = resolve(nominal, self._clock)
            if moment != last:
                yield Occasion(nominal, moment)
            last = moment

    def _nominals(self, start: datetime) -> Iterator[datetime]:
        if isinstance(self.rule, Interval):
            begins = self.begins.replace(tzinfo=None)
            number = max(0, (start - begins) // self.rule.every)
            while True:
                yield begins + number * self.rule.every
                number += 1
        day, empty = start.date(), 0
        while empty < EMPTY_DAYS:
            times = self.rule.on(day, self.seed)
            yield from times
            empty = 0 if times else empty + 1
            if day.year == 9999:
                return
            day += timedelta(days=1)

    def _jittered(self, this: Occasion, following: Occasion | None) -> Occasion:
        room = self.jitter if following is None else min(self.jitter, following.due - this.due - SECOND)
        seconds = max(0, room // SECOND)
        digest = hashlib.sha256(f"{self.seed} jitter {this.nominal.isoformat()}".encode()).digest()
        later = this.due + SECOND * (int.from_bytes(digest[:6], "big") % (seconds + 1))
        return this if self._is_quiet(later) else Occasion(this.nominal, later)

    def _is_quiet(self, moment: datetime) -> bool:
        return self.quiet is not None and self.quiet.holds(moment, self.zone)


def resolve(nominal: datetime, zone: tzinfo) -> datetime:
    """The moment, in UTC, of a time on the wall: the first of two, and the end of the gap where there is none.

    As PEP 495 has it, `fold=0` is the first of two times, and in a gap it counts with the offset from before it.
    """
    late = nominal.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == nominal:
        return late
    early = nominal.replace(tzinfo=zone, fold=1).astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while late - early > SECOND:  # the clocks jump at a whole second between the two
        middle = early + (late - early) // 2 // SECOND * SECOND
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def _with_next(moments: Iterator[Occasion]) -> Iterator[tuple[Occasion, Occasion | None]]:
    last = None
    for this, following in pairwise(moments):
        yield this, following
        last = following
    if last is not None:
        yield last, None
