"""The guard: whether a text may leave. It fails closed: what cannot be checked does not leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlite_utils import Database

from bot.errors import only_the_running
from bot.guard import blocked, originality, profile, rules
from bot.guard.originality import Copy
from bot.guard.profile import Profile
from bot.guard.rules import SENTENCES, Reason, Rules
from bot.guard.unsaid import is_on_discord
from bot.ordering import find_person
from bot.settings import Settings
from storage import allowances, discord
from storage.allowances import Allowance
from storage.database import Reader, Store
from storage.errors import MynahError
from storage.originality import record, unread
from storage.personas import Persona

log = logging.getLogger(__name__)

_PROFILES = 32
_READ_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a text may leave; where not, why, and what it is a copy of."""

    ok: bool
    reason: Reason | None = None
    nearest: Copy | None = None
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The reason, for a person."""
        if self.reason is None:
            return "It may leave."
        of = f" It has {self.nearest.words} words in common with @{self.nearest.of}." if self.nearest else ""
        return f"{SENTENCES[self.reason]}{of}{' ' * bool(self.detail)}{self.detail}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a persona's posts may hold, and whether that was said of this persona."""

    handle: str
    allowance: Allowance
    is_own: bool


class Guard:
    """Looks at every text before it leaves."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._profiles: dict[str, Profile] = {}
        self._reading = asyncio.Lock()

    async def check(
        self, candidate: str, persona: Persona, *, target: str = "x", ignoring: str | None = None
    ) -> Verdict:
        """All rules, originality last. `ignoring` is a text of the persona's own that is looked at once more."""
        try:
            allowed = await self._store.run(allowances.get, persona.id) or self._allowed_to_all
            on_discord = is_on_discord(target)
            unsaid = await self._store.run(discord.blocked_words, persona.id) if on_discord else ()
            found = rules.broken(candidate, self._rules(allowed, unsaid), await self.profile(persona), target)
        except MynahError as error:
            log.error("Nothing leaves: %s", error)
            return Verdict(False, "cannot tell", detail=str(error))
        return Verdict(False, found) if found else await self.check_originality(candidate, persona, ignoring=ignoring)

    async def check_originality(
        self, candidate: str, persona: Persona, *, prompt: str = "", ignoring: str | None = None
    ) -> Verdict:
        """Whether it is anybody's already; what the asker said themselves does not count."""
        try:
            await self.catch_up()
            copy = await self._store.run(originality.find_copy, candidate, persona.id, prompt=prompt, ignoring=ignoring)
        except MynahError as error:
            log.error("Nothing leaves: %s", error)
            return Verdict(False, "cannot tell", detail=str(error))
        return Verdict(copy is None, None if copy is None else "copy", copy)

    async def catch_up(self) -> None:
        """Read what was published or decided since, a little at a time. Raises StorageError."""
        async with self._reading:
            while not isinstance(self._store, Reader):
                waiting = await self._store.run(unread, originality.AT_ONCE)
                if waiting:  # words are counted in a thread of their own: the database's serves others meanwhile
                    await self._store.run(record, await asyncio.to_thread(originality.read, waiting), waiting)
                if len(waiting) < originality.AT_ONCE:
                    return

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Read new texts as they come, so that whoever asks need not wait, nor somebody who may only read."""
        reading = asyncio.create_task(self._keep_up(), name="guard")
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _keep_up(self) -> None:
        while True:
            try:
                await self.catch_up()
            except MynahError as error:  # whoever asks next is told
                log.error("New posts cannot be read: %s", error)
            await asyncio.sleep(_READ_EVERY_S)

    async def profile(self, persona: Persona) -> Profile:
        """How the persona writes. Raises StorageError."""
        key = persona.current_clone_id or persona.id
        if key not in self._profiles:
            while len(self._profiles) >= _PROFILES:
                self._profiles.pop(next(iter(self._profiles)))
            self._profiles[key] = await self._store.run(profile.of_persona, persona.id)
        return self._profiles[key]

    async def allowed(self, handle: str) -> Allowed:
        """What a persona's posts may hold. Raises NotFound."""
        return await self._store.run(_allowed, handle, self._allowed_to_all)

    async def allow(self, handle: str, allowance: Allowance | None) -> Allowed:
        """Say what a persona's posts may hold; None is as the settings say. Raises CommandError, NotFound."""
        if isinstance(self._store, Reader):
            raise only_the_running("/persona allow …")
        await self._store.run(_allow, handle, allowance)
        return await self.allowed(handle)

    @property
    def _allowed_to_all(self) -> Allowance:
        set_ = self._settings.guard
        return Allowance(set_.mentions, set_.hashtags, set_.links)

    def _rules(self, allowed: Allowance, unsaid: tuple[str, ...]) -> Rules:
        """As they are set now. Raises GuardError for a list that cannot be read."""
        set_, file = self._settings.guard, self._settings.blocked_words_file
        return Rules(
            mentions=allowed.mentions,
            hashtags=allowed.hashtags,
            links=allowed.links,
            blocked=blocked.from_file(file) if file is not None else blocked.NO_WORDS,
            toxic=blocked.toxic(set_.toxic_words),
            unsaid=unsaid,
        )


def _allowed(db: Database, handle: str, of_all: Allowance) -> Allowed:
    persona = find_person(db, handle)
    own = allowances.get(db, persona.id)
    return Allowed(persona.handle, own or of_all, own is not None)


def _allow(db: Database, handle: str, allowance: Allowance | None) -> None:
    persona = find_person(db, handle)
    if allowance is None:
        allowances.clear(db, persona.id)
    else:
        allowances.set(db, persona.id, allowance, datetime.now(UTC))
