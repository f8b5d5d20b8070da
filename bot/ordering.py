"""A request to learn becomes an order that can go in line, or is refused with nothing changed."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import NoReturn

from sqlite_utils import Database

from bot import clone_records
from bot.clone_records import Order
from bot.cloning import import_limits
from bot.errors import CommandError, NotFound
from bot.people.people import People
from bot.requests import BlendRequest, CloneRequest, RefreshRequest
from bot.settings import Settings
from bot.sources import open_source
from bot.sources.x_api import SOURCE
from bot.speakers import Speakers
from bot.x.asking import Asking
from storage import blends, clones, learning, personas, posts, x_collections
from storage.database import Store
from storage.personas import Persona
from trainer.recipes import Recipe

SEEDS = 2**32
HEAVIEST = 1e9
LEAST_SHARE = 0.01
"""Of somebody in a blend: less would be a few posts."""


class Ordering:
    """Checks what is asked for against what is here, and against whom it would imitate.

    Every method raises CommandError (OptedOut among them), NotFound or SourceError.
    """

    def __init__(self, settings: Settings, store: Store, speakers: Speakers, people: People, asking: Asking) -> None:
        self._settings = settings
        self._store = store
        self._speakers = speakers
        self._people = people
        self._asking = asking

    async def clone(self, request: CloneRequest) -> Order:
        recipe = self._recipe(request)
        if request.source == "x":
            return await self._clone_from_x(request, recipe)
        file = request.file
        named = None if file is None else await self._named_in(file, request.handle)
        handle = request.handle or named or _refuse_nameless(file)
        await self._people.refuse_opted_out(handle)
        await self._store.run(clone_records.refuse_opted_out, named)
        await self._refuse_blend(handle)
        if file is not None:
            await self._people.refuse_strangers(handle, request.requested_by)
        else:
            await self._refuse_without_posts(handle)
            await self._people.refuse_beyond(handle, "train")
            await self._refuse_against_terms(handle)
        return Order(handle, recipe, self._settings.base_model, usable_seed(request.seed), request.requested_by, file)

    async def _clone_from_x(self, request: CloneRequest, recipe: Recipe) -> Order:
        if request.handle is None or request.file is not None:
            raise CommandError("From X a clone needs a handle, and no file.", "/clone @handle source=x [depth=N]")
        handle = personas.normalise_handle(request.handle)
        await self._refuse_blend(handle)
        await self._refuse_busy(handle)
        collection = await self._asking.collection(handle, request.depth, request.ask)
        base, seed = self._settings.base_model, usable_seed(request.seed)
        return Order(handle, recipe, base, seed, request.requested_by, collection=collection)

    async def blend(self, request: BlendRequest) -> Order:
        parts = [await self._store.run(find_person, handle) for handle in request.handles]
        for part in parts:
            await self._people.refuse_beyond(part.handle, "train")
            await self._refuse_against_terms(part.handle)
        if len({part.id for part in parts}) < 2:
            raise CommandError("A blend needs two people or more.", "/blend @a @b weights 60 40")
        if len({part.id for part in parts}) < len(parts):
            raise CommandError("Somebody is named twice.", "Name each person once.")
        recipe = self._recipe(CloneRequest(None, None, request.recipe, newest=request.newest))
        weights = request.weights or tuple(1.0 for _ in parts)
        if len(weights) != len(parts) or not all(0 < weight <= HEAVIEST for weight in weights):
            raise CommandError(
                f"{len(parts)} people and {len(weights)} weights.", "Each person has one weight above 0: weights 60 40"
            )
        if recipe.layout == "blocks" and len(set(weights)) > 1:
            raise CommandError(
                f"The recipe {recipe.name} mixes people in equal parts.", "Leave the weights out, or use recipe=mynah."
            )
        shares = {part.id: weight / sum(weights) for part, weight in zip(parts, weights, strict=True)}
        if min(shares.values()) < LEAST_SHARE:
            raise CommandError(
                f"Somebody has less than {LEAST_SHARE:.0%} of the weights.", "Leave them out, or give them more."
            )
        name = request.name or "-".join(part.handle for part in parts)[:64]
        if any(personas.normalise_handle(name) == part.handle for part in parts):
            raise CommandError(f"@{name} is one of its people.", "Give the blend a name of its own: as=NAME")
        await self._refuse_person(name)
        base, seed = self._settings.base_model, usable_seed(request.seed)
        return Order(name, recipe, base, seed, request.requested_by, shares=shares)

    async def refresh(self, request: RefreshRequest) -> Order:
        ready = await self._speakers.find(request.handle)
        await self._people.refuse_opted_out(ready.persona.handle)
        await self._refuse_blend(ready.persona.handle)
        if request.file is not None:
            named = await self._named_in(request.file, ready.persona.handle)
            await self._store.run(clone_records.refuse_opted_out, named)
            await self._people.refuse_strangers(ready.persona.handle, request.requested_by)
        else:
            await self._people.refuse_beyond(ready.persona.handle, "train")
            await self._refuse_against_terms(ready.persona.handle)
        if not await self._store.run(_knows_what_it_learned, ready.clone.id):
            raise CommandError(
                f"Nothing says what @{ready.persona.handle} learned from.", "Clone anew: /clone @handle file=PATH"
            )
        clone = ready.clone
        seed, by = usable_seed(request.seed), request.requested_by
        collection = None
        if request.file is None and await self._store.run(x_collections.newest, ready.persona.id) is not None:
            await self._refuse_busy(ready.persona.handle)
            collection = await self._asking.collection(
                ready.persona.handle, request.depth, request.ask, only_newer=True
            )
        return Order(ready.persona.handle, ready.recipe, clone.base, seed, by, request.file, clone.id, collection)

    async def _refuse_blend(self, handle: str) -> None:
        persona = await self._store.run(personas.find, handle)
        if persona is not None and await self._store.run(blends.is_blend, persona.id):
            raise CommandError(f"@{persona.handle} is a blend.", "Blend its people again: /blend @a @b as=NAME")

    async def _refuse_busy(self, handle: str) -> None:
        """Before anything is paid for. Raises UnderWay."""
        persona = await self._store.run(personas.find, handle)
        if persona is not None:
            await self._store.run(clones.refuse_busy, persona.id)

    async def _refuse_against_terms(self, handle: str) -> None:
        """What was collected from X is learned from only where that is set."""
        persona = await self._store.run(personas.find, handle)
        if persona is not None and await self._store.run(posts.has_source, persona.id, SOURCE):
            self._asking.refuse_against_terms()

    async def _refuse_person(self, name: str) -> None:
        """A blend's name may be new, or a blend's."""
        persona = await self._store.run(personas.find, name)
        if persona is not None and not await self._store.run(blends.is_blend, persona.id):
            raise CommandError(f"@{persona.handle} is a person here.", "Give the blend another name: as=NAME")

    def _recipe(self, request: CloneRequest) -> Recipe:
        name, known = request.recipe or self._settings.recipe, self._settings.known_recipes
        if name not in known:
            raise NotFound(f"There is no recipe {name!r}.", f"Known are: {', '.join(known)}.")
        recipe = known[name]
        if request.newest is not None and request.newest < 1:
            raise CommandError(f"newest is {request.newest}.", "It is a number of posts, 1 or more, such as 3000.")
        asked = {"heldout": request.heldout, "newest": request.newest}
        return recipe.model_copy(update={key: value for key, value in asked.items() if value is not None})

    async def _named_in(self, file: Path, author: str | None) -> str | None:
        """Whose posts a file holds, as it says itself or else as its giver does.

        It is not read whole, yet most of what is wrong with a file is seen here, before anybody is made of it.
        """
        await asyncio.to_thread(_refuse_missing, file)
        limits, messages = import_limits(self._settings), self._settings.consent.direct_messages
        source = await asyncio.to_thread(open_source, file, author=author, limits=limits, direct_messages=messages)
        return source.handle

    async def _refuse_without_posts(self, handle: str) -> None:
        persona = await self._store.run(personas.find, handle)
        if persona is None or not await self._store.run(posts.count, persona.id):
            raise CommandError(
                f"There are no posts of @{personas.normalise_handle(handle)} here.",
                f"Give a file of them: /clone @{personas.normalise_handle(handle)} file=PATH "
                "(an X archive, CSV, JSON, or text with one post a line).",
            )


def find_person(db: Database, handle: str) -> Persona:
    """The persona of a handle. Raises NotFound where there is none."""
    persona = personas.find(db, handle)
    if persona is None:
        raise NotFound(f"There is no persona @{handle.strip().removeprefix('@')}.", "/models lists who is here.")
    return persona


def usable_seed(asked: int | None) -> int:
    """The seed that is asked for, or any. Raises CommandError where no training takes it."""
    if asked is not None and not 0 <= asked < SEEDS:
        raise CommandError(f"The seed {asked} cannot be used.", f"It is a number from 0 to {SEEDS - 1}.")
    return secrets.randbelow(SEEDS) if asked is None else asked


def _knows_what_it_learned(db: Database, clone_id: str) -> bool:
    return next(learning.corpus(db, clone_id), None) is not None


def _refuse_nameless(file: Path | None) -> NoReturn:
    if file is None:
        raise CommandError("A clone needs a handle or a file.", "/clone @handle file=PATH")
    raise CommandError(f"{file.name} does not say whose posts it holds.", "Name the person: /clone @handle file=…")


def _refuse_missing(file: Path) -> None:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte in the path
        raise CommandError(f"There is no file {file}.", "Check the path; quote it if it holds spaces.") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
