"""What people do with schedules: add, list, pause, resume, remove, and see what would come of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from sqlite_utils import Database

from bot.errors import CommandError
from bot.ordering import find_person
from bot.posting.clock import Clock, WallClock
from bot.schedules import plan
from bot.schedules.requests import ScheduleRequest, to_store, zone_of
from bot.schedules.runner import Author, Refused, Runner
from bot.schedules.targets import what_is_missing
from bot.settings import Settings
from storage import personas, schedules
from storage.database import Store
from storage.schedules import New, Run, Schedule

SHOWN = 3
MOST_SHOWN = 50
LOOKED_AT = 60
"""So many runs of a new schedule are looked at, whether they are too close together."""
_NEVER = datetime.max.replace(tzinfo=UTC)
_SAME = ("action", "words", "kind", "zone", "target", "prompt", "jitter_s", "quiet")
"""What two schedules of a persona share that do the same in the same span of time."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A schedule, whose it is, and when its next runs are due."""

    schedule: Schedule
    handle: str
    next: tuple[datetime, ...]
    missing: str = ""
    """Why nothing can be posted there yet; said of a new one."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a run would have posted, or why nothing."""

    due: datetime
    text: str
    refused: str = ""


class Schedules:
    """The commands; what they change, the runner is told of."""

    def __init__(
        self, settings: Settings, store: Store, runner: Runner, author: Author, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._store = store
        self._runner = runner
        self._author = author
        self._clock = clock or WallClock()

    async def add(self, request: ScheduleRequest) -> Planned:
        """Begin a schedule.

        Raises:
            CommandError, NotFound, StorageError: with nothing changed.
        """
        planned = await self._store.run(self._add, request)
        self._runner.changed(planned.schedule.id)
        return replace(planned, missing=await what_is_missing(planned.schedule.target, self._settings, self._store))

    async def try_out(self, request: ScheduleRequest, count: int = SHOWN) -> list[Trial]:
        """Have written what the next runs of a schedule would post. Nothing is stored, and nothing is posted.

        Raises:
            CommandError, NotFound, VoiceError.
        """
        if request.action != "post":
            raise CommandError("A refresh posts nothing.", "Leave the dry run out.")
        planned = await self._store.run(self._draft, request, _few(count))
        persona = await self._store.run(personas.get, planned.schedule.persona_id)
        trials = []
        for due in planned.next:
            written = await self._author.write(persona, request.prompt, planned.schedule.target, due)
            refused = isinstance(written, Refused)
            trials.append(Trial(due, "", written.reason) if isinstance(written, Refused) else Trial(due, written.text))
            if refused:
                break
        return trials

    def zone(self, request: ScheduleRequest) -> ZoneInfo:
        """The zone that a schedule's times are meant in. Raises CommandError."""
        return zone_of(request, self._settings)

    async def listed(self, handle: str | None = None) -> list[Planned]:
        """Those of a persona, or all.

        Raises:
            NotFound: for a handle that nobody has.
        """
        return await self._store.run(self._list, handle)

    async def preview(self, number: int, count: int = SHOWN) -> Planned:
        """When a schedule is due next. Raises CommandError, StorageError."""
        return await self._store.run(self._planned, number, _few(count))

    async def history(self, number: int, count: int = 20) -> list[Run]:
        """What became of its last runs, oldest first. Raises CommandError, StorageError."""
        schedule = await self._store.run(schedules.get, number)
        return await self._store.run(schedules.runs, schedule.id, _few(count))

    async def pause(self, number: int) -> Planned:
        """Have a schedule do nothing until it is resumed. Raises CommandError, StorageError."""
        return await self._change(_pause, number)

    async def resume(self, number: int) -> Planned:
        """Have it go on; what was due meanwhile is skipped. Raises CommandError, StorageError."""
        return await self._change(_resume, number)

    async def remove(self, number: int) -> Planned:
        """Forget a schedule; what it decided on already stays in the outbox. Raises StorageError."""
        planned = await self._store.run(self._planned, number, 0)
        await self._store.run(schedules.remove, planned.schedule.id)
        self._runner.changed(planned.schedule.id)
        return planned

    async def _change(self, change: Callable[[Database, int, datetime], None], number: int) -> Planned:
        await self._store.run(change, number, self._clock.now())
        planned = await self._store.run(self._planned, number, SHOWN)
        self._runner.changed(planned.schedule.id)
        return planned

    def _add(self, db: Database, request: ScheduleRequest) -> Planned:
        with db.atomic():
            persona = find_person(db, request.handle)
            now = self._clock.now()
            new = to_store(request, persona.id, self._settings, now)
            _refuse_twin(new, schedules.listed(db, persona.id))
            schedule = schedules.add(db, new, self._settings.schedule.max_per_persona)
            refuse_unusable(schedule, self._settings)
            following = plan.upcoming(db, schedule, now, SHOWN)
            schedules.set_next(db, schedule.id, following[0])
            stored = schedules.get(db, schedule.number)
            return Planned(stored, persona.handle, tuple(following))

    def _draft(self, db: Database, request: ScheduleRequest, count: int) -> Planned:
        """A schedule as it would be, which is not stored."""
        persona = find_person(db, request.handle)
        now = self._clock.now()
        schedule = _unstored(to_store(request, persona.id, self._settings, now))
        refuse_unusable(schedule, self._settings)
        runs = islice(plan.timetable(schedule).after_moment(now), count)
        return Planned(schedule, persona.handle, tuple(run.due for run in runs))

    def _list(self, db: Database, handle: str | None) -> list[Planned]:
        persona_id = None if handle is None else find_person(db, handle).id
        handles = {persona.id: persona.handle for persona in personas.all(db)}
        now = self._clock.now()
        return [
            Planned(schedule, handles[schedule.persona_id], tuple(plan.upcoming(db, schedule, now, SHOWN)))
            for schedule in schedules.listed(db, persona_id)
        ]

    def _planned(self, db: Database, number: int, count: int) -> Planned:
        schedule = schedules.get(db, number)
        handle = personas.get(db, schedule.persona_id).handle
        return Planned(schedule, handle, tuple(plan.upcoming(db, schedule, self._clock.now(), count)))


def refuse_unusable(schedule: Schedule, settings: Settings) -> None:
    """Raises CommandError for a schedule that is never due, or too often."""
    table = plan.timetable(schedule)
    if next(table.after(None), None) is None:
        quiet = f" outside of the quiet hours {schedule.quiet}" if schedule.quiet else ""
        raise CommandError(f"{schedule.words!r} is never due{quiet}.", "Change its times, or from= and until=.")
    least = settings.schedule.min_minutes_apart
    first = islice(replace(table, jitter=timedelta(0)).after(None), LOOKED_AT)
    if any(later.due - earlier.due < timedelta(minutes=least) for earlier, later in pairwise(first)):
        raise CommandError(
            f"{schedule.words!r} comes too often.",
            f"Leave {least} minutes between two runs (schedule.min_minutes_apart).",
        )


def _refuse_twin(new: New, others: Sequence[Schedule]) -> None:
    """Typed twice, a schedule would post everything twice. Raises CommandError."""
    for other in others:
        if other.state == "ended" or any(getattr(other, name) != getattr(new, name) for name in _SAME):
            continue
        if max(other.begins_at, new.begins_at) <= min(other.ends_at or _NEVER, new.ends_at or _NEVER):
            hint = "shows it" if other.state == "active" else f"shows it, and /schedule resume {other.number} goes on"
            raise CommandError(f"Schedule {other.number} does that already.", f"/schedule list {hint}.")


def _pause(db: Database, number: int, now: datetime) -> None:
    with db.atomic():
        schedule = schedules.get(db, number)
        if schedule.state == "ended":
            raise CommandError(f"Schedule {number} has ended.", "Add a new one: /schedule add")
        if schedule.state == "paused":
            raise CommandError(f"Schedule {number} is paused already.", f"/schedule resume {number} has it go on.")
        schedules.set_state(db, schedule.id, "paused")
        schedules.set_next(db, schedule.id, None)


def _resume(db: Database, number: int, now: datetime) -> None:
    with db.atomic():
        schedule = schedules.get(db, number)
        if schedule.state != "paused":
            raise CommandError(f"Schedule {number} is {schedule.state}, not paused.", "See /schedule list.")
        schedules.set_state(db, schedule.id, "active")
        passed = plan.pass_over(db, schedule, now, "The schedule was paused.", now)
        schedules.set_next(db, schedule.id, next(iter(plan.upcoming(db, passed, now, 1)), None))


def _unstored(new: New) -> Schedule:
    return Schedule(
        **asdict(new), id="", number=0, state="active", handled_until=None, last_due_at=None, next_due_at=None
    )


def _few(count: int) -> int:
    if not 1 <= count <= MOST_SHOWN:
        raise CommandError(f"{count} runs cannot be shown.", f"Ask for 1 to {MOST_SHOWN}.")
    return count
