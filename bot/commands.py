"""What each command does, with no platform in it: the one place that every gateway calls.

A typed request in, a frozen result out, or a MynahError whose sentences the gateway shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlite_utils import Database

from bot import sharing, tracking
from bot.admin import Admin
from bot.bundled import bundled_handle
from bot.cards import write_card
from bot.clone_records import Order
from bot.cloning import Cloning
from bot.drafts import Drafts
from bot.errors import CommandError, NotFound
from bot.evaluating import Evaluated, evaluate
from bot.guard import Guard, Guarded
from bot.guard.author import GuardedAuthor
from bot.guard.reranker import Reranker
from bot.notices import Notices
from bot.ordering import Ordering, find_person, usable_seed
from bot.people.people import People
from bot.posting.outbox import Outbox
from bot.posting.posting import Posting, posting_rules
from bot.posting.x_account import XAccount
from bot.posting.x_replies import Replies
from bot.requests import BlendRequest, CloneRequest, RefreshRequest, SayRequest
from bot.schedules.runner import Runner, patience
from bot.schedules.schedules import Schedules
from bot.settings import Settings
from bot.sharing import Newcomer
from bot.speakers import Ready, Speakers
from bot.voice.service import Voice
from bot.x.asking import Asking
from bot.x.budget import Budget
from bot.x.collecting import Collecting
from bot.x.connection import X
from storage import clones, evaluations, learning, personas
from storage.clones import Clone, Overview
from storage.database import Store
from storage.evaluations import Evaluation
from storage.learning import Sample
from trainer.protocol import Pushed, Tracked

MOST_POSTS_AT_ONCE = 50
MOST_SAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Said:
    """What a persona said, and the seed that makes it say so again."""

    handle: str
    display_name: str
    texts: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """A clone in line: `ahead` others come first."""

    clone: Clone
    handle: str
    ahead: int


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a persona, whether it is the one that speaks, and what was last measured of it."""

    clone: Clone
    speaks: bool
    evaluation: Evaluation | None


class Commands:
    """Every command; built once by `bot.app`."""

    def __init__(self, settings: Settings, store: Store, voice: Voice, speakers: Speakers, cloning: Cloning) -> None:
        self._settings = settings
        self._store = store
        self._voice = voice
        self._speakers = speakers
        self._cloning = cloning
        self.people = People(settings, store, cloning)
        self.budget = Budget(settings, store)
        self.x = X(settings, store, self.budget)
        asking = Asking(settings, store, self.budget, self.people)
        self._ordering = Ordering(settings, store, speakers, self.people, asking)
        self.notices = Notices(store)
        cloning.collect_by(Collecting(settings, store, self.budget, self.notices))
        self.guard = Guard(settings, store)
        reranker = Reranker(settings, store)
        self.guarded = Guarded(settings, store, speakers, voice, self.guard, reranker)
        self.posting = Posting(store, self.notices, partial(posting_rules, settings))
        self.drafts = Drafts(settings, store, self.guard, self.guarded, reranker, self.posting.wake)
        self.outbox = Outbox(store, self.posting, settings.zone)
        self.x_account = XAccount(settings, store, self.notices, self.posting, self.budget)
        self.admin = Admin(store, self.posting, self.notices)
        author = GuardedAuthor(settings, store, self.guarded)
        self.x_replies = Replies(settings, store, self.notices, self.posting, self.x_account, author)
        self.runner = Runner(store, author, self._scheduled_refresh, self.posting.wake, partial(patience, settings))
        self.schedules = Schedules(settings, store, self.runner, author)

    async def clone(self, request: CloneRequest) -> Submitted:
        """Put a clone in line.

        Raises:
            CommandError, NotFound, SourceError, StorageError: with nothing changed.
        """
        return await self._submit(await self._ordering.clone(request))

    async def blend(self, request: BlendRequest) -> Submitted:
        """Put a blend of people whose posts are here in line.

        Raises:
            CommandError, NotFound, StorageError: with nothing changed.
        """
        return await self._submit(await self._ordering.blend(request))

    async def refresh(self, request: RefreshRequest) -> Submitted:
        """Put a refresh in line: the current version goes on learning, from what it has not learned yet.

        Raises:
            CommandError, NotFound, StorageError: with nothing changed.
        """
        return await self._submit(await self._ordering.refresh(request))

    async def say(self, request: SayRequest, heard: Callable[[Said], None] = lambda _: None) -> Said:
        """Posts in a persona's voice, none of which is anybody's already; each is `heard` alone as soon as it is there.

        Raises:
            CommandError, GuardError, NotFound, VoiceError.
        """
        if not 1 <= request.count <= MOST_POSTS_AT_ONCE:
            raise CommandError(f"{request.count} posts cannot be said at once.", f"Ask for 1 to {MOST_POSTS_AT_ONCE}.")
        seed = usable_seed(request.seed)
        request = await self._addressed(request)
        ready = await self._speakers.find(request.handle or await self._only_handle())

        def said(*texts: str) -> Said:
            return Said(ready.persona.handle, ready.persona.display_name, texts, seed)

        def hear(text: str) -> None:
            heard(said(text))

        return said(*await self.guarded.say(ready, request.prompt, request.count, seed, request.context, hear))

    async def models(self) -> list[Overview]:
        """Every clone of every persona."""
        return await self._store.run(clones.overview)

    async def handles(self) -> list[str]:
        """Every known persona's handle, for completion."""
        return [persona.handle for persona in await self._store.run(personas.known)]

    async def versions(self, handle: str) -> list[Version]:
        """A persona's versions, newest first.

        Raises:
            NotFound.
        """
        return await self._store.run(_versions, handle)

    async def rollback(self, handle: str, version: int | None = None) -> Clone:
        """Have another version speak: the one before, or the one that is named.

        Raises:
            NotFound: where there is none.
        """
        return await self._store.run(_roll_back, handle, version)

    async def evaluate(self, handle: str, samples: int = 200, seed: int = 0) -> Evaluated:
        """Judge the version that speaks, anew.

        Raises:
            CommandError, NotFound, StorageError, TrainerFailed.
        """
        if not 1 <= samples <= MOST_SAMPLES:
            raise CommandError(f"{samples} samples cannot be judged.", f"Ask for 1 to {MOST_SAMPLES}.")
        return await evaluate(self._settings, self._store, self._speakers, handle, samples, usable_seed(seed))

    async def card(self, handle: str) -> Path:
        """Write the model card of the version that speaks; returns its folder.

        Raises:
            NoConsent, NotFound, StorageError, TrainerFailed.
        """
        await self.people.refuse_beyond(handle, "speak")  # it shows what the clone says
        return await write_card(self._settings, self._store, self._speakers, handle)

    async def push(self, handle: str, repo: str | None = None, *, public: bool = False) -> Pushed:
        """Upload a persona to the Hub.

        Raises:
            CommandError, NotFound, StorageError, TrainerFailed.
        """
        _refuse_unwritable("repository", repo or "")
        await self.people.refuse_beyond(handle, "share")
        return await sharing.push(self._settings, self._store, self._speakers, handle, repo, public=public)

    async def adopt(self, origin: str, handle: str | None = None, requested_by: str = "console") -> Newcomer:
        """Bring in a model that was made elsewhere.

        Raises:
            CommandError, NoConsent, OptedOut, StorageError, TrainerFailed.
        """
        _refuse_unwritable("model", origin)
        return await sharing.adopt(self._settings, self._store, origin, handle, requested_by)

    async def sync_tracked(self) -> list[Tracked]:
        """Upload to W&B what was tracked offline; returns the runs that are there now.

        Raises:
            TrainerFailed.
        """
        return await tracking.sync(self._settings, self._store)

    async def samples(self, clone_id: str) -> list[Sample]:
        """What a clone said while it learned."""
        return await self._store.run(learning.samples, clone_id)

    async def train_status(self) -> list[Overview]:
        """The clones in line and being made, in the order in which they are served."""
        active = {clone.id for clone in await self._store.run(clones.active)}
        order = {clone.id: place for place, clone in enumerate(await self._store.run(clones.in_line))}
        under_way = [clone for clone in await self.models() if clone.clone_id in active]
        return sorted(under_way, key=lambda clone: order.get(clone.clone_id, -1))

    async def train_cancel(self, handle: str | None = None) -> Overview:
        """Cancel the training of a persona, or the one under way.

        Raises:
            NotFound: where there is none.
        """
        wanted = None if handle is None else personas.normalise_handle(handle)
        for clone in await self.train_status():
            if wanted in (None, clone.handle):
                await self._cloning.cancel(clone.clone_id)
                return clone
        raise NotFound(
            "Nothing is being trained." if wanted is None else f"@{wanted} is not being trained.",
            "See /train status.",
        )

    async def export(self, handle: str, folder: Path) -> Ready:
        """Write a clone as a folder that `transformers.pipeline` loads.

        Raises:
            CommandError, NoConsent, NotFound, TrainerFailed.
        """
        _refuse_unwritable("folder", str(folder))
        await self.people.refuse_beyond(handle, "speak")  # whoever has the folder lets it speak
        return await self._speakers.export(handle, folder)

    async def warm(self, handle: str) -> None:
        """Have a persona ready to speak before it is asked."""
        ready = await self._speakers.find(handle)
        await self._voice.warm(await self._speakers.speaker(ready))

    async def _scheduled_refresh(self, request: RefreshRequest) -> Submitted:
        """Whoever made the schedule agreed to what it costs; the budgets bound it."""
        return await self.refresh(replace(request, ask=_agreed))

    async def _submit(self, order: Order) -> Submitted:
        clone = await self._cloning.submit(order)
        ahead = await self._store.run(clones.ahead, clone.id)
        return Submitted(clone, personas.normalise_handle(order.handle), ahead)

    async def _addressed(self, request: SayRequest) -> SayRequest:
        """Where nobody is named but the prompt begins with somebody's handle, it is they who should speak."""
        first, _, rest = request.prompt.partition(" ")
        if request.handle is None and first.lower() in await self.handles():
            return replace(request, handle=first, prompt=rest)
        return request

    async def _only_handle(self) -> str:
        """Whom `/say` means when it names nobody: the only persona of one's own, or the bundled one."""
        own = [persona.handle for persona in await self._store.run(personas.all) if persona.current_clone_id]
        theirs = [handle for handle in own if handle != bundled_handle()] or own
        if len(theirs) != 1:
            raise CommandError("Who should speak?", "/say @handle; /models lists who can.")
        return theirs[0]


async def _agreed(question: str) -> bool:
    return True


def _refuse_unwritable(what: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise CommandError(f"The {what} {name!a} is not valid UTF-8.", f"Name another {what}.") from None


def _versions(db: Database, handle: str) -> list[Version]:
    persona = find_person(db, handle)
    return [
        Version(clone, clone.id == persona.current_clone_id, evaluations.newest(db, clone.id))
        for clone in clones.of_persona(db, persona.id)
    ]


def _roll_back(db: Database, handle: str, version: int | None) -> Clone:
    with db.atomic():
        persona = find_person(db, handle)
        ready = [clone for clone in clones.of_persona(db, persona.id) if clone.state == "ready"]
        now = next((clone.version for clone in ready if clone.id == persona.current_clone_id), 0)
        if version is None:  # one that was found too bad to speak is gone back to only by its number
            older = [clone for clone in ready if clone.version < now and clone.spoke_at is not None]
        else:
            older = [clone for clone in ready if clone.version == version]
        if not older:
            what = "older version that spoke" if version is None else f"ready version {version}"
            raise NotFound(f"@{persona.handle} has no {what}.", f"See /versions @{persona.handle}.")
        personas.set_current(db, persona.id, older[0].id)
        return older[0]
