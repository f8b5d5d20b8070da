"""The five fields of crontab(5): minute, hour, day of the month, month, day of the week.

As there: `*`, lists, ranges and steps; names of months and days; 0 and 7 are both Sunday, and 1 is Monday. Where both
day fields are restricted, one of the two is enough (`0 9 13 * 5`: every 13th, and every Friday). No `@daily`, no
seconds.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, field

from bot.errors import CommandError
from bot.schedules.rules import Cron

HINT = "Five fields: minute hour day-of-month month day-of-week, such as 30 9 * * 1-5."


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: dict[str, int] = field(default_factory=dict)


_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?")


def looks_like_cron(words: str) -> bool:
    """Five fields, the first of which could be minutes."""
    fields = words.split()
    return len(fields) == len(_FIELDS) and re.fullmatch(r"[\d*/,-]+", fields[0]) is not None


def parse_cron(words: str) -> Cron:
    """Raises CommandError, naming the field that is wrong; also for days that no year has."""
    texts = words.lower().split()
    values = [_values(text, field) for text, field in zip(texts, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = values
    either_day = not texts[2].startswith("*") and not texts[4].startswith("*")
    # 2024 was a leap year, so that 29 February counts as a day that comes.
    if not either_day and not any(min(days) <= calendar.monthrange(2024, month)[1] for month in months):
        raise CommandError(f"No such day ever comes: {words}.", "Check the day of the month and the month.")
    from_monday = frozenset((day - 1) % 7 for day in weekdays)
    return Cron(minutes, hours, days, months, from_monday, either_day)


def _values(text: str, field: _Field) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        match = _PART.fullmatch(span)
        stepped = not slash or (re.fullmatch(r"[1-9]\d{0,2}", step) and (match and (match["all"] or match["last"])))
        if match is None or not stepped:
            raise CommandError(f"{part!r} is no {field.name} of a cron rule.", HINT)
        first, last = field.least, field.most
        if not match["all"]:
            first = _number(match["first"], field)
            last = first if match["last"] is None else _number(match["last"], field)
        if first > last:
            raise CommandError(f"{part!r} ends before it begins.", f"Write it as two ranges. {HINT}")
        found |= set(range(first, last + 1, int(step) if step else 1))
    return frozenset(found)


def _number(word: str, field: _Field) -> int:
    if word in field.names:
        return field.names[word]
    if not re.fullmatch(r"\d{1,2}", word, re.ASCII) or not field.least <= int(word) <= field.most:
        raise CommandError(
            f"{word!r} is no {field.name} of a cron rule.", f"It goes from {field.least} to {field.most}."
        )
    return int(word)
