"""What each command does, with no platform in it: the one place that every gateway calls.

A typed request in, a frozen result out, or a MynahError whose sentences the gateway shows.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

from bot.bundled import bundled_handle
from bot.cloning import Cloning, import_limits
from bot.errors import CommandError, NotFound
from bot.settings import Settings
from bot.sources import open_source
from bot.speakers import Ready, Speakers
from bot.voice.service import Voice
from storage import clones, learning, personas, posts
from storage.clones import Clone, Overview
from storage.database import Store
from storage.learning import Sample
from trainer.recipes import RECIPES, Recipe

MOST_POSTS_AT_ONCE = 50
SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """Learn a voice. Without a file, the posts that are here already are learned from anew."""

    handle: str | None
    file: Path | None
    recipe: str | None = None
    heldout: bool | None = None
    """Keep posts aside and report quality, whatever the recipe says."""
    newest: int | None = None
    """Learn from so many of the newest posts only."""
    requested_by: str = "console"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class SayRequest:
    """Speak like someone."""

    handle: str | None
    prompt: str = ""
    count: int = 1
    seed: int | None = None


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


class Commands:
    """Every command; built once by `bot.app`."""

    def __init__(self, settings: Settings, store: Store, voice: Voice, speakers: Speakers, cloning: Cloning) -> None:
        self._settings = settings
        self._store = store
        self._voice = voice
        self._speakers = speakers
        self._cloning = cloning

    async def clone(self, request: CloneRequest) -> Submitted:
        """Put a clone in line.

        Raises:
            CommandError, NotFound, SourceError, StorageError: with nothing changed.
        """
        recipe = self._recipe(request)
        file = request.file
        if request.seed is not None and not 0 <= request.seed < SEEDS:
            raise CommandError(f"The seed {request.seed} cannot be used.", f"It is a number from 0 to {SEEDS - 1}.")
        if file is not None:
            await asyncio.to_thread(_refuse_missing, file)
        handle = request.handle or await self._handle_in(file)
        if file is None:
            await self._refuse_without_posts(handle)
        seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
        clone = await self._cloning.submit(handle, recipe, file, request.requested_by, seed)
        line = await self._store.run(clones.in_line)
        ahead = [waiting.id for waiting in line].index(clone.id) if clone.id in {one.id for one in line} else 0
        return Submitted(clone, personas.normalise_handle(handle), ahead)

    async def say(self, request: SayRequest) -> Said:
        """Posts in a persona's voice.

        Raises:
            CommandError, NotFound, VoiceError.
        """
        if not 1 <= request.count <= MOST_POSTS_AT_ONCE:
            raise CommandError(f"{request.count} posts cannot be said at once.", f"Ask for 1 to {MOST_POSTS_AT_ONCE}.")
        ready = await self._speakers.find(request.handle or await self._only_handle())
        seed = secrets.randbelow(2**31) if request.seed is None else request.seed
        texts = await self._voice.speak(
            await self._speakers.speaker(ready),
            request.prompt,
            request.count,
            seed,
            ready.recipe.sampling,
            self._settings.voice.timeout_s,
        )
        return Said(ready.persona.handle, ready.persona.display_name, tuple(texts), seed)

    async def models(self) -> list[Overview]:
        """Every clone of every persona."""
        return await self._store.run(clones.overview)

    async def handles(self) -> list[str]:
        """Every persona's handle, for completion."""
        return [persona.handle for persona in await self._store.run(personas.all)]

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
            CommandError, NotFound, VoiceError.
        """
        try:
            str(folder).encode()
        except UnicodeEncodeError:
            raise CommandError(f"The path {str(folder)!a} is not valid UTF-8.", "Name another folder.") from None
        return await self._speakers.export(handle, folder)

    async def warm(self, handle: str) -> None:
        """Have a persona ready to speak before it is asked."""
        ready = await self._speakers.find(handle)
        await self._voice.warm(await self._speakers.speaker(ready))

    def _recipe(self, request: CloneRequest) -> Recipe:
        name = request.recipe or self._settings.recipe
        if name not in RECIPES:
            raise NotFound(f"There is no recipe {name!r}.", f"Known are: {', '.join(RECIPES)}.")
        recipe = RECIPES[name]
        if request.newest is not None and request.newest < 1:
            raise CommandError(f"newest is {request.newest}.", "It is a number of posts, such as 3000.")
        asked = {"heldout": request.heldout, "newest": request.newest}
        return recipe.model_copy(update={key: value for key, value in asked.items() if value is not None})

    async def _handle_in(self, file: Path | None) -> str:
        """The account that a file names itself."""
        if file is None:
            raise CommandError("A clone needs a handle or a file.", "/clone @handle file=PATH")
        source = await asyncio.to_thread(open_source, file, limits=import_limits(self._settings))
        if source.handle is None:
            raise CommandError(
                f"{file.name} does not say whose posts it holds.", "Name the person: /clone @handle file=…"
            )
        return source.handle

    async def _refuse_without_posts(self, handle: str) -> None:
        persona = await self._store.run(personas.find, handle)
        if persona is None or not await self._store.run(posts.count, persona.id):
            raise CommandError(
                f"There are no posts of @{personas.normalise_handle(handle)} here.",
                f"Give a file of them: /clone @{personas.normalise_handle(handle)} file=PATH "
                "(an X archive, CSV, JSON, or text with one post a line).",
            )

    async def _only_handle(self) -> str:
        """Whom `/say` means when it names nobody: the only persona of one's own, or the bundled one."""
        own = [persona.handle for persona in await self._store.run(personas.all) if persona.current_clone_id]
        theirs = [handle for handle in own if handle != bundled_handle()] or own
        if len(theirs) != 1:
            raise CommandError("Who should speak?", "/say @handle; /models lists who can.")
        return theirs[0]


def _refuse_missing(file: Path) -> None:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte in the path
        raise CommandError(f"There is no file {file}.", "Check the path; quote it if it holds spaces.") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
