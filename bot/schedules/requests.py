"""What a person asks of schedules: a request becomes the row that is stored, with the settings where it is silent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.errors import CommandError
from bot.schedules.rules import Cron, Interval, Random, Rule
from bot.schedules.times import SECOND, resolve
from bot.schedules.words import parse_time, parse_words
from bot.settings import Settings
from bot.settings.schedule import is_target
from bot.settings.zones import nearest_zone, zone_named
from storage.schedules import Action, Kind, Misfire, New

LONGEST_WORDS = 200
LONGEST_PROMPT = 280
LONGEST_JITTER = timedelta(hours=12)
_QUOTES = "\"'“”„‘’ "
"""Those around words: a phone types curly ones."""


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """A schedule, as every gateway asks for it; None is what the settings say."""

    handle: str
    words: str
    action: Action = "post"
    target: str | None = None
    prompt: str = ""
    zone: str | None = None
    jitter: str | None = None
    """Such as 5m."""
    quiet: str | None = None
    """Such as 23-7; `no` for none."""
    begins: str | None = None
    """A day, or a day and a time, in the schedule's zone."""
    ends: str | None = None
    misfire: str | None = None
    created_by: str = "console"


def to_store(request: ScheduleRequest, persona_id: str, settings: Settings, now: datetime) -> New:
    """The row that a request asks for. Raises CommandError for what is not understood or not allowed."""
    words = " ".join(request.words.split()).strip(_QUOTES)
    if len(words) > LONGEST_WORDS or len(request.prompt) > LONGEST_PROMPT:
        raise CommandError("That is too long.", f"Words have {LONGEST_WORDS} characters, a prompt {LONGEST_PROMPT}.")
    rule = parse_words(words)
    ours = settings.schedule
    zone = zone_of(request, settings)
    target = request.target or ours.target
    if not is_target(target):
        raise CommandError(f"{target!r} is no place to post to.", "It is x, dry, discord:CHANNEL or webhook:ID.")
    now = now.replace(microsecond=0)
    begins = _moment(request.begins, zone) if request.begins else now
    if isinstance(rule, Interval):  # its first time that is still to come
        begins += rule.every * max(0 if request.begins else 1, -((begins - now) // rule.every))
    jitter = timedelta(minutes=ours.jitter_minutes) if request.jitter is None else _jitter(request.jitter)
    return New(
        persona_id=persona_id,
        action=request.action,
        words=words,
        kind=_kind(rule),
        zone=zone.key,
        target=target if request.action == "post" else "",
        prompt=request.prompt,
        jitter_s=jitter // SECOND,
        quiet=ours.quiet_hours if request.quiet is None else quiet_words(request.quiet),
        begins_at=max(begins, now),
        ends_at=_moment(request.ends, zone, end_of_day=True) if request.ends else None,
        misfire=_misfire(request.misfire or ours.misfire),
        created_by=request.created_by,
        created_at=now,
    )


def quiet_words(text: str) -> str:
    """Hours such as 23-7 as they are stored, 23:00-07:00; nothing for `no`. Raises CommandError."""
    if text in ("", "no", "none"):
        return ""
    opens, dash, closes = text.replace(" ", "").partition("-")
    if not dash:
        raise CommandError(f"{text!r} are no quiet hours.", "Such as 23-7, 22:30-8:00, or no.")
    start, end = parse_time(opens), parse_time(closes, is_end=True)
    if start == end:
        raise CommandError(f"{text!r} would be the whole day, and nothing ever due.", "Such as 23-7, or no.")
    return f"{start:%H:%M}-{end:%H:%M}"


def zone_of(request: ScheduleRequest, settings: Settings) -> ZoneInfo:
    """The zone that a schedule's times are meant in. Raises CommandError."""
    name = request.zone or settings.schedule.zone or settings.timezone
    try:
        return zone_named(name)
    except ValueError as error:
        near = nearest_zone(name)
        meant = f"Did you mean {near}?" if near else "Such as UTC or Europe/Madrid."
        raise CommandError(f"{error}.", meant) from None


def _misfire(text: str) -> Misfire:
    known: dict[str, Misfire] = {"skip": "skip", "once": "once", "all": "all"}
    if text in known:
        return known[text]
    raise CommandError(f"{text!r} is nothing to do about missed runs.", "Give missed=skip, once or all.")


def _jitter(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5}) ?(s|m|h)?", text, re.ASCII)
    if found is None:
        raise CommandError(f"jitter is {text!r}.", "Such as 90s, 5m or 1h.")
    jitter = timedelta(seconds=int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "m"])
    if jitter > LONGEST_JITTER:
        raise CommandError(f"jitter is {text!r}.", "It is 12h at most.")
    return jitter


def _moment(text: str, zone: ZoneInfo, *, end_of_day: bool = False) -> datetime:
    day, _, at = text.strip().replace("T", " ").partition(" ")
    try:
        date = datetime.strptime(day, "%Y-%m-%d").date()  # noqa: DTZ007 - its zone comes below
    except ValueError:
        raise CommandError(f"{text!r} is no day.", "Such as 2026-12-31, or 2026-12-31T18:00.") from None
    if not 2000 <= date.year <= 2200:
        raise CommandError(f"{text!r} is too far away.", "Such as 2026-12-31.")
    if at:
        return resolve(datetime.combine(date, parse_time(at)), zone)
    if end_of_day:
        return resolve(datetime.combine(date + timedelta(days=1), time(0)), zone) - SECOND
    return resolve(datetime.combine(date, time(0)), zone)


def _kind(rule: Rule) -> Kind:
    if isinstance(rule, Interval):
        return "interval"
    return "cron" if isinstance(rule, Cron) else "random" if isinstance(rule, Random) else "weekly"
