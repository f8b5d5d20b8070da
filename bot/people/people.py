"""Consent, opting out, and being forgotten: what every gateway calls. A name that is refused is refused everywhere.

Forgetting goes in an order that a crash cannot turn into a secret: clones under way end, rows go, files go; at the next
start, files that belong to nobody are deleted.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Literal

from sqlite_utils import Database

from bot.cloning import Cloning
from bot.data_folder import DataFolder
from bot.errors import CommandError, NotFound
from bot.people import files, grounds, privacy
from bot.people.privacy import PrivacyNotice
from bot.people.recorded import Recorded, recorded
from bot.settings import Settings
from storage import clones, consents, forgetting, optouts, personas
from storage.consents import Ground, Request, Use
from storage.database import Store
from storage.forgetting import Traces
from storage.personas import Persona

Platform = Literal["any", "discord"]

log = logging.getLogger(__name__)

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted."""

    handles: tuple[str, ...] = ()
    """Personas, with the blends that they were a part of."""
    posts: int = 0
    versions: int = 0
    samples: int = 0
    schedules: int = 0
    outbox: int = 0
    consents: int = 0
    file_bytes: int = 0
    elsewhere: tuple[str, ...] = ()
    """Pages outside of this Mynah, which whoever owns them has to delete."""

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(
            self.handles + other.handles,
            self.posts + other.posts,
            self.versions + other.versions,
            self.samples + other.samples,
            self.schedules + other.schedules,
            self.outbox + other.outbox,
            self.consents + other.consents,
            self.file_bytes + other.file_bytes,
            self.elsewhere + other.elsewhere,
        )


class People:
    """Whose voice may be learned and used, and how it goes away."""

    def __init__(self, settings: Settings, store: Store, cloning: Cloning) -> None:
        self._settings = settings
        self._store = store
        self._cloning = cloning
        self._folder = DataFolder(settings.data_dir)

    async def refuse_opted_out(self, handle: str, platform: Platform = "any") -> None:
        """Raises OptedOut where this handle, or id of a platform, is not to be learned from."""
        await self._store.run(grounds.refuse_opted_out, _name(handle, platform))

    async def consent_for(self, handle: str, *, connected: bool = False) -> Ground:
        """The ground on which a public account may be collected; `connected` is the owner's own, by login.

        Raises CommandError where the policy forbids it, OptedOut.
        """
        normal = personas.normalise_handle(handle)
        await self.refuse_opted_out(normal)
        return grounds.ground_of_account(self._settings.consent, normal, connected=connected)

    async def refuse_beyond(self, handle: str, use: Use) -> None:
        """Raises NoConsent where the consent to a persona does not cover this use, or was taken back."""
        persona = await self._store.run(personas.find, handle)
        if persona is not None:
            await self._store.run(consents.refuse_beyond, persona.id, use)

    async def consents(self) -> list[Recorded]:
        """On what ground each persona is here."""
        return await self._store.run(recorded)

    async def withdraw(self, handle: str) -> None:
        """Take consent back: the clone is not trained, spoken with, posted or shared any more, and nothing is deleted.

        Raises NotFound.
        """
        await self._store.run(_withdraw, handle)

    async def known(self, handle: str) -> str:
        """The handle of a persona that is here, as it is kept. Raises NotFound, StorageError."""
        return (await self._store.run(_persona, handle)).handle

    async def forget(self, handle: str) -> Forgotten:
        """Delete a persona with posts, clones, weights, schedules, outbox, drafts and files; its blends, too.

        Raises NotFound, StorageError.
        """
        return await self._forget(await self._store.run(_persona_id, handle))

    async def optout(self, handle_or_id: str, platform: Platform = "any") -> Forgotten:
        """Refuse every clone of this person from now on, and forget all that is theirs.

        On Discord the id of a member: their personas, whatever the handles, are forgotten and opted out, too.
        Raises StorageError.
        """
        name = _name(handle_or_id, platform)
        theirs = await self._store.run(_personas_named, name)
        salt = await self._store.run(optouts.ensure_salt)
        names = list(dict.fromkeys([name, *theirs.values()]))
        digests = await asyncio.to_thread(lambda: [optouts.digest(each, salt) for each in names])
        member_id = name.removeprefix("discord:") if platform == "discord" else None
        await self._store.run(optouts.add, digests)
        forgotten = Forgotten()
        for persona_id in theirs:
            # One that is not here any more went as a blend of another one of theirs.
            if persona_id in await self._store.run(forgetting.known_ids):
                forgotten += await self._forget(persona_id)
        if member_id is not None:  # last: until then, saying it again finds what a crash left
            await self._store.run(forgetting.blank_member, member_id)
        if platform == "any":
            await asyncio.to_thread(files.forget_in_history, self._folder, [name])
        return forgotten

    async def refuse_strangers(self, handle: str, requested_by: str) -> None:
        """Nobody adds posts to another one's voice. Raises CommandError for a member whose voice it is not."""
        member = consents.member_in(requested_by)
        if member is None or await self._store.run(personas.find, handle) is None:
            return
        if not await self.is_voice_of(handle, member):
            raise CommandError(
                f"@{personas.normalise_handle(handle)} is somebody else's voice here.",
                "Give your file another name: /clone user:NAME",
            )

    async def may_forget(self, handle: str, member_id: str) -> bool:
        """Whether a member of Discord may have a persona forgotten: it is their voice, or they brought it here."""
        return await self._store.run(_is_theirs, handle, f"discord:{member_id}")

    async def is_voice_of(self, handle: str, member_id: str) -> bool:
        """Whether a persona is this member's own voice, as its consents say."""
        return await self._store.run(_is_voice_of, handle, f"discord:{member_id}")

    async def ask(self, member_id: str, asked_by: str, channel_id: str, recipe: str | None = None) -> Request:
        """Begin to ask a member of Discord whether they may be cloned. Raises OptedOut."""
        await self.refuse_opted_out(member_id, "discord")
        return await self._store.run(consents.ask, member_id, asked_by, channel_id, recipe)

    async def agree(self, request_id: str) -> Request:
        """The member agreed. Raises StorageError where the question is gone."""
        return await self._store.run(consents.agree, request_id)

    async def request(self, request_id: str) -> Request:
        """The question that was put. Raises StorageError where it is gone."""
        return await self._store.run(consents.request, request_id)

    async def asked_in(self, request_id: str, message_id: str) -> None:
        """Keep where the question stands."""
        await self._store.run(consents.asked_at, request_id, message_id)

    async def close(self, request_id: str) -> None:
        """The question is answered: nothing of it is kept."""
        await self._store.run(consents.close, request_id)

    async def privacy(self) -> PrivacyNotice:
        """What is kept of people, why, and how to have it deleted."""
        return privacy.notice(self._settings, await self._store.run(optouts.count))

    async def sweep(self) -> None:
        """At the start: delete files of whoever was being forgotten when the bot died."""
        known = await self._store.run(forgetting.known_ids)
        if size := await asyncio.to_thread(files.delete_strays, self._folder, known):
            log.warning("Files of nobody were deleted: %d bytes.", size)

    async def _forget(self, persona_id: str) -> Forgotten:
        # What was typed goes first: after a crash nobody would know any more whose name to look for.
        handles = (await self._store.run(forgetting.traces, persona_id)).handles
        await asyncio.to_thread(files.forget_in_history, self._folder, handles)
        found = await self._erase(persona_id)
        size = await asyncio.to_thread(files.delete, self._folder, [*found.clone_ids, *found.persona_ids])
        await asyncio.to_thread(files.forget_in_jobs, self._folder, found.handles)
        return Forgotten(
            found.handles,
            found.posts,
            found.versions,
            found.samples,
            found.schedules,
            found.outbox,
            found.consents,
            size,
            found.elsewhere,
        )

    async def _erase(self, persona_id: str) -> Traces:
        for _ in range(_TRIES):
            for clone_id in (await self._store.run(forgetting.traces, persona_id)).active_ids:
                await self._cloning.cancel(clone_id)
                await self._store.run(_leave, clone_id)
            if (found := await self._store.run(forgetting.erase, persona_id)) is not None:
                return found
        raise CommandError("Clones of this person keep being asked for.", "Try again in a moment.")


def _name(handle_or_id: str, platform: Platform) -> str:
    """The one form under which somebody is compared. Raises StorageError for what is no handle."""
    if platform == "discord":
        return f"discord:{handle_or_id.removeprefix('discord:')}"
    return personas.normalise_handle(handle_or_id)


def _personas_named(db: Database, name: str) -> dict[str, str]:
    """Ids and handles of the personas that are a person's."""
    ids = consents.personas_of(db, name)
    found = [personas.get(db, id) for id in ids]
    if not name.startswith("discord:") and (persona := personas.find(db, name)) is not None:
        found.append(persona)
    return {persona.id: persona.handle for persona in found}


def _persona(db: Database, handle: str) -> Persona:
    persona = personas.find(db, handle)
    if persona is None:
        raise NotFound(f"There is no persona @{personas.normalise_handle(handle)}.", "/models lists who is here.")
    return persona


def _persona_id(db: Database, handle: str) -> str:
    return _persona(db, handle).id


def _withdraw(db: Database, handle: str) -> None:
    id = _persona_id(db, handle)
    if consents.newest(db, id) is None:
        consents.record(db, id, "owner", personas.normalise_handle(handle), "console", personas.get(db, id).source)
    consents.withdraw(db, id)


def _is_voice_of(db: Database, handle: str, subject: str) -> bool:
    return _persona_id(db, handle) in consents.personas_of(db, subject)


def _is_theirs(db: Database, handle: str, requester: str) -> bool:
    id = _persona_id(db, handle)
    first = min(clones.of_persona(db, id), key=lambda clone: clone.version, default=None)
    brought_it = first is not None and first.requested_by.partition("@")[0] == requester
    return brought_it or _is_voice_of(db, handle, requester)


def _leave(db: Database, clone_id: str) -> None:
    """A clone in line that nobody makes now, such as where only one command runs, is cancelled here."""
    row = db.execute("select state from clones where id = ?", [clone_id]).fetchone()
    if row is not None and row[0] == "queued":
        clones.move(db, clone_id, "cancelled", "forgotten")
