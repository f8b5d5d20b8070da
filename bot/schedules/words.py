"""The words of a schedule → its rule: `every weekday 9:30`, `every 3h`, `random 3 a day between 9 and 22`, or cron."""

from __future__ import annotations

import difflib
import re
from datetime import time, timedelta

from bot.errors import CommandError
from bot.schedules.cron import looks_like_cron, parse_cron
from bot.schedules.rules import EVERY_DAY, Interval, Random, Rule, Weekly

FORMS = (
    "every day 9:30",
    "every weekday 9:30",
    "every mon,thu 18:15",
    "every day at 8:00 and 20:00",
    "every 3h",
    "every 90 minutes",
    "random 3 a day between 9 and 22",
    "random 2 a day between 9 and 22 on weekdays",
    "30 9 * * 1-5",
)
MOST_A_DAY = 96
LONGEST_INTERVAL = timedelta(days=7)

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_GROUPS = {
    "day": EVERY_DAY,
    "days": EVERY_DAY,
    "weekday": frozenset(range(5)),
    "weekdays": frozenset(range(5)),
    "weekend": frozenset((5, 6)),
    "weekends": frozenset((5, 6)),
}
_TIMES = {"noon": time(12), "midnight": time(0)}
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(am|pm)?", re.ASCII)
_INTERVAL = re.compile(r"(\d{1,5}(?= *[a-z]))? *(m|min|mins|minutes?|h|hrs?|hours?)", re.ASCII)
_WEEKLY = re.compile(r"(?P<days>\D+?)(?: at)? (?P<times>(?:\d|noon|midnight).*)", re.ASCII)
_RANDOM = re.compile(
    r"(?P<count>\d{1,4})(?: times)? (?:a|per) day between (?P<opens>\S+) and (?P<closes>\S+)(?: on (?P<days>.+))?",
    re.ASCII,
)


def parse_words(words: str) -> Rule:
    """What a person means by these words.

    Raises:
        CommandError: naming what is not understood, with the nearest form that is.
    """
    said = re.sub(r"\s+", " ", words.strip().lower())
    said = re.sub(r"^daily\b", "every day", said)
    said = "every hour" if said == "hourly" else said
    if looks_like_cron(said):
        return parse_cron(said)
    kind, _, rest = said.partition(" ")
    rest = re.sub(r"(?<=\d) (?=(am|pm)\b)", "", rest)
    if kind == "every" and (interval := _INTERVAL.fullmatch(rest)):
        return _interval(interval)
    if kind == "every" and (weekly := _WEEKLY.fullmatch(rest)):
        return Weekly(_days(weekly["days"]), _times(weekly["times"]))
    if kind == "random" and (random := _RANDOM.fullmatch(rest)):
        return _random(random)
    if kind == "every" and _only_days(rest):
        raise CommandError(f"{words!r} names no time of day.", f"Such as: every {rest} 9:30")
    raise CommandError(f"{words!r} is no schedule that Mynah understands.", f"The nearest form is: {_nearest(said)}")


def parse_time(text: str, *, is_end: bool = False) -> time:
    """A time of day: 9, 9:30, 9pm, 21:30, noon; where hours end, 24 is midnight. Raises CommandError."""
    if is_end and text in ("24", "24:00"):
        return time(0)
    if text in _TIMES:
        return _TIMES[text]
    found = _TIME.fullmatch(text)
    if found is None:
        raise CommandError(f"{text!r} is no time of day.", "Such as 9:30, 21:00 or 9pm.")
    hour, minute, half = int(found[1]), int(found[2] or 0), found[3]
    if half and not 1 <= hour <= 12:
        raise CommandError(f"{text!r} is no time of day.", "am and pm go with 1 to 12.")
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59:
        raise CommandError(f"{text!r} is no time of day.", "A day goes from 0:00 to 23:59.")
    return time(hour, minute)


def _interval(found: re.Match[str]) -> Interval:
    count = int(found[1]) if found[1] else 1
    every = timedelta(hours=count) if found[2].startswith("h") else timedelta(minutes=count)
    if not timedelta(0) < every <= LONGEST_INTERVAL:
        raise CommandError(
            f"every {found[0]} is no interval that Mynah keeps.",
            "Such as every 30 minutes, and 168 hours at most; or: every mon 9:30",
        )
    return Interval(every)


def _random(found: re.Match[str]) -> Random:
    count = int(found["count"])
    if not 1 <= count <= MOST_A_DAY:
        raise CommandError(f"{count} times a day cannot be.", f"From 1 to {MOST_A_DAY}.")
    days = _days(found["days"]) if found["days"] else EVERY_DAY
    return Random(count, parse_time(found["opens"]), parse_time(found["closes"], is_end=True), days)


def _days(text: str) -> frozenset[int]:
    days: frozenset[int] = frozenset()
    for word in filter(None, re.split(r"[, ]+|\band\b", text.strip())):
        first, dash, last = word.partition("-")
        if word in _GROUPS:
            days |= _GROUPS[word]
        elif dash:
            start, end = _weekday(first), _weekday(last)
            days |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
        else:
            days |= {_weekday(word)}
    return days


def _weekday(word: str) -> int:
    """A weekday by its name or the beginning of it, mo to monday, with or without an s."""
    name = word.removesuffix("s") if word not in ("tues", "thurs") else word
    found = [number for number, day in enumerate(_DAYS) if len(name) >= 2 and day.startswith(name)]
    if len(found) != 1:
        near = difflib.get_close_matches(word, [*_GROUPS, *_DAYS], n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise CommandError(f"{word!r} is no day of the week.", f"{meant}Such as day, weekday, weekend, mon or mon-fri.")
    return found[0]


def _only_days(text: str) -> bool:
    try:
        return bool(_days(text))
    except CommandError:
        return False


def _times(text: str) -> tuple[time, ...]:
    times = {parse_time(word) for word in filter(None, re.split(r"[, ]+|\band\b", text))}
    return tuple(sorted(times))


def _nearest(said: str) -> str:
    return (difflib.get_close_matches(said, FORMS, n=1, cutoff=0.0) or [FORMS[0]])[0]
