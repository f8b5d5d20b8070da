"""`/schedule`: what a persona posts when, and when it is refreshed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.commands import Commands
from bot.errors import CommandError
from bot.gateways.families.family import Answer, Asker, Family, confirm
from bot.gateways.line import Line, refuse_words, the_handle, whole_number
from bot.schedules.requests import ScheduleRequest
from bot.schedules.schedules import SHOWN, Planned, Trial
from storage.schedules import Run

_FORM = (
    '/schedule add @handle [refresh] "every weekday 9:30" [to=x|discord:CHANNEL|webhook:ID|dry] [prompt="…"]'
    " [zone=ZONE] [jitter=5m] [quiet=23-7] [from=DAY] [until=DAY] [missed=skip|once|all] [--dry-run]"
    " | list [@handle] | preview N [count=N] | history N [count=N] | pause N | resume N | remove N"
)
_HELP = "when a persona posts, or is refreshed: add, list, preview, history, pause, resume, remove"
_DRY_RUN = "--dry-run"


@dataclass(frozen=True, slots=True)
class Row:
    """A schedule, for `--json`."""

    number: int
    handle: str
    action: str
    words: str
    zone: str
    target: str
    state: str
    next: tuple[datetime, ...]
    prompt: str
    jitter_s: int
    quiet: str
    begins_at: datetime
    ends_at: datetime | None
    misfire: str
    created_by: str


async def _do(commands: Commands, line: Line, ask: Asker) -> Answer:
    verb = (line.words or ("list",))[0]
    match verb:
        case "add":
            return await _add(commands, line)
        case "list":
            refuse_words(line, 1)
            planned = await commands.schedules.listed(line.handle)
            if not planned:
                return Answer(("There are no schedules.",))
            return _answer(*planned)
        case "preview":
            return _answer(await commands.schedules.preview(_number(line), _count(line, SHOWN)))
        case "history":
            return await _history(commands, line)
        case "pause":
            return _answer(await commands.schedules.pause(_number(line)))
        case "resume":
            return _answer(await commands.schedules.resume(_number(line)))
        case "remove":
            return await _remove(commands, line, ask)
        case _:
            raise CommandError(f"/schedule cannot {verb!r}.", f"The form is {_FORM}")


async def _add(commands: Commands, line: Line) -> Answer:
    request = schedule_request(line, "console")
    if _DRY_RUN in line.words:
        trials = await commands.schedules.try_out(request, _count(line, SHOWN))
        zone = commands.schedules.zone(request)
        return Answer(tuple(_trial(trial, zone) for trial in trials), tuple(trials))
    return _answer(await commands.schedules.add(request))


async def _history(commands: Commands, line: Line) -> Answer:
    runs = await commands.schedules.history(_number(line), _count(line, 20))
    zone = ZoneInfo((await commands.schedules.preview(_number(line))).schedule.zone)
    return Answer(tuple(_run(run, zone) for run in runs) or ("Nothing was due yet.",), tuple(runs))


async def _remove(commands: Commands, line: Line, ask: Asker) -> Answer:
    planned = await commands.schedules.preview(_number(line))
    number = planned.schedule.number
    question = f"Remove schedule {number} of @{planned.handle}, {planned.schedule.words!r}?"
    await confirm(ask, line, question, f"Removing schedule {number}")
    await commands.schedules.remove(number)
    return Answer((f"Schedule {number} is removed.",))


def schedule_request(line: Line, created_by: str) -> ScheduleRequest:
    """What `/schedule add` asks for. Raises CommandError."""
    words = [word for word in line.words[1:] if word != _DRY_RUN]
    is_refresh = words[:1] == ["refresh"]
    words = words[is_refresh:]
    if not words:
        raise CommandError("When?", 'Such as: /schedule add @handle "every weekday 9:30"')
    options = line.options
    return ScheduleRequest(
        handle=the_handle(line),
        words=" ".join(words),
        action="refresh" if is_refresh else "post",
        target=options.get("to"),
        prompt=options.get("prompt", ""),
        zone=options.get("zone"),
        jitter=options.get("jitter"),
        quiet=options.get("quiet"),
        begins=options.get("from"),
        ends=options.get("until"),
        misfire=options.get("missed"),
        created_by=created_by,
    )


def lines(planned: Planned) -> tuple[str, ...]:
    """A schedule, and when it is due next, in its zone."""
    schedule, zone = planned.schedule, ZoneInfo(planned.schedule.zone)
    about = f"refresh, {schedule.words}" if schedule.action == "refresh" else f"{schedule.words} → {schedule.target}"
    times = " · ".join(time_text(due, zone) for due in planned.next) or schedule.state
    missing = (f"   Mind: {planned.missing}",) if planned.missing else ()
    return f"{schedule.number}  @{planned.handle}  {about}", f"   {times} ({schedule.zone})", *missing


def time_text(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as the clock on the wall shows it there."""
    return f"{moment.astimezone(zone):%a %d %b %Y %H:%M}"


def _answer(*planned: Planned) -> Answer:
    return Answer(tuple(line for each in planned for line in lines(each)), tuple(_row(each) for each in planned))


def _row(planned: Planned) -> Row:
    schedule = planned.schedule
    return Row(
        number=schedule.number,
        handle=planned.handle,
        action=schedule.action,
        words=schedule.words,
        zone=schedule.zone,
        target=schedule.target,
        state=schedule.state,
        next=planned.next,
        prompt=schedule.prompt,
        jitter_s=schedule.jitter_s,
        quiet=schedule.quiet,
        begins_at=schedule.begins_at,
        ends_at=schedule.ends_at,
        misfire=schedule.misfire,
        created_by=schedule.created_by,
    )


def _trial(trial: Trial, zone: ZoneInfo) -> str:
    return f"{time_text(trial.due, zone)}  {trial.text or f'nothing: {trial.refused}'}"


def _run(run: Run, zone: ZoneInfo) -> str:
    when = time_text(run.due_at, zone) + ("" if run.is_one else f" to {time_text(run.until_at, zone)}")
    return f"{when}  {run.outcome}{f': {run.reason}' if run.reason else ''}"


def _number(line: Line) -> int:
    refuse_words(line, 2)
    text = line.words[1].removeprefix("#") if len(line.words) > 1 else ""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise CommandError("Which schedule?", "By its number: /schedule list shows them.")
    return int(text)


def _count(line: Line, default: int) -> int:
    count = whole_number(line, "count")
    return default if count is None else count


FAMILY = Family(
    forms={"schedule": _FORM},
    help={"schedule": _HELP},
    do=_do,
    keys={"schedule": ("to", "prompt", "zone", "jitter", "quiet", "from", "until", "missed", "count")},
    reads=frozenset({"schedule list", "schedule preview", "schedule history"}),
)
