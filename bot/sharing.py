"""`/push` and `/adopt`: a persona goes to the Hub as a model with its card, and a model made elsewhere speaks here."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from bot.cards import card_job
from bot.data_folder import DataFolder
from bot.errors import CommandError, TrainerFailed
from bot.launchers import local
from bot.people import grounds
from bot.settings import Settings
from bot.speakers import Speakers
from storage import clones, consents, personas, weights
from storage.clones import Clone
from storage.database import Store
from storage.errors import StorageError
from storage.ids import new_id
from trainer.manifest import Manifest
from trainer.protocol import Adopted, AdoptJob, Pushed, PushJob, Saved
from trainer.recipes import HUGGINGTWEETS, Recipe

__all__ = ["Newcomer", "adopt", "push"]

_SOURCE = "adopted"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who was adopted."""

    handle: str
    clone: Clone
    replaces: int | None
    """The version that spoke for the handle before."""


async def push(
    settings: Settings, store: Store, speakers: Speakers, handle: str, repo: str | None, *, public: bool
) -> Pushed:
    """Upload the persona's model, its adapter and its card; private unless asked otherwise.

    Raises:
        CommandError, NotFound, StorageError, TrainerFailed.
    """
    ready = await speakers.find(handle)
    if settings.tokens.hf_token is None:  # the trainer says so too, but after the model is written
        raise CommandError(
            "There is no token to push with.",
            "Make one with the right to write at huggingface.co/settings/tokens and set HF_TOKEN to it.",
        )
    folder = DataFolder(settings.data_dir)
    name = repo or ready.persona.handle
    parcel = folder.cache / "pushes" / ready.clone.id
    if not parcel.is_dir():
        await speakers.export(handle, parcel)
    async with card_job(settings, store, speakers, handle, parcel, repo=name) as card:
        job = PushJob(
            job_id=f"push-{ready.clone.id}",
            base=ready.model.base,
            cache_dir=folder.cache,
            hub_url=settings.urls.hub,
            parent_pid=os.getpid(),
            folder=parcel.absolute(),
            card=card,
            weights_dir=(await speakers.weights(ready)).absolute(),
            manifest=Manifest(
                handle=ready.persona.handle,
                display_name=ready.persona.display_name,
                base=ready.model.base,
                base_hash=ready.model.base_hash,
                method=ready.model.method,
                recipe=ready.recipe.name,
                sampling=ready.recipe.sampling,
                version=ready.clone.version,
            ),
            repo=name,
            private=not public,
        )
        events = await local.errand(job, folder.logs / f"{job.job_id}.log")
    for event in events:
        if isinstance(event, Pushed):
            shutil.rmtree(parcel, ignore_errors=True)
            return event
    raise TrainerFailed("The trainer ended before everything was pushed.", "Push again: what is there stays there.")


async def adopt(settings: Settings, store: Store, origin: str, handle: str | None, requested_by: str) -> Newcomer:
    """Bring in a causal LM or an adapter, from a folder or the Hub, as a persona that can speak.

    Raises:
        CommandError, NoConsent, OptedOut, StorageError, TrainerFailed.
    """
    if handle is not None:  # refused before anything is fetched
        await store.run(_refuse_opted_out, personas.normalise_handle(handle))
    folder = DataFolder(settings.data_dir)
    work_dir = folder.jobs / f"adopt-{new_id()}"
    job = AdoptJob(
        job_id=work_dir.name,
        base=settings.base_model,
        cache_dir=folder.cache,
        hub_url=settings.urls.hub,
        parent_pid=os.getpid(),
        origin=await asyncio.to_thread(_in_full, origin),
        work_dir=work_dir.absolute(),
    )
    try:
        events = await local.errand(job, folder.logs / f"{job.job_id}.log")
        adopted = next((event for event in events if isinstance(event, Adopted)), None)
        saved = next((event for event in events if isinstance(event, Saved)), None)
        if adopted is None or saved is None:
            raise TrainerFailed("The trainer ended without a model.", "Try again.")
        name = handle or _own_handle(adopted, origin)
        return await store.run(_take_in, name, adopted, saved, requested_by)
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)


def _refuse_opted_out(db: Database, *names: str) -> None:
    """Raises OptedOut where one of them, such as what the model's card calls itself, is not to be imitated."""
    grounds.refuse_opted_out(db, *names, told="This person has opted out: their voice is not brought in here.")


def _plain(handle: str) -> str:
    return handle.removeprefix("@").lower()


def _own_handle(adopted: Adopted, origin: str) -> str:
    """What its card calls it, or else its folder or repository."""
    name = adopted.handle or Path(origin).name
    try:
        return personas.normalise_handle(name)
    except StorageError:
        raise CommandError(
            f"{name!r} is no handle that it could have here.", "Name it: --as NAME, or as=NAME"
        ) from None


def _in_full(origin: str) -> str:
    """A folder by its whole path, since the trainer may run elsewhere; a name of the Hub as it is."""
    try:
        folder = Path(origin).expanduser()
    except RuntimeError:
        raise CommandError(f"{origin!r} names the home of nobody known here.", "Write the path in full.") from None
    return str(folder.absolute()) if folder.is_dir() else origin


def _take_in(db: Database, handle: str, adopted: Adopted, saved: Saved, requested_by: str) -> Newcomer:
    """Persona, clone and weights, in one transaction; it speaks at once."""
    assert saved.method in ("lora", "full")
    _refuse_opted_out(db, handle, adopted.handle)
    recipe: Recipe = HUGGINGTWEETS.model_copy(
        update={"name": "adopted", "summary": "Made elsewhere.", "method": saved.method, "sampling": adopted.sampling}
    )
    with db.atomic():
        source = _SOURCE if personas.find(db, handle) is None else ""
        persona = personas.ensure(db, handle, adopted.display_name, source)
        consents.refuse_beyond(db, persona.id, "speak")
        before = clones.get(db, persona.current_clone_id) if persona.current_clone_id else None
        clone = clones.enqueue(
            db, persona.id, recipe.name, recipe.model_dump_json(), adopted.base, 0, requested_by, None
        )
        clones.move(db, clone.id, "collecting")
        clones.move(db, clone.id, "training", "trained elsewhere")
        weights.save_model(db, clone.id, saved.method, adopted.base, adopted.base_hash, saved.files[0].path.parent)
        clone = clones.move(
            db, clone.id, "ready", base_hash=adopted.base_hash, verdict="It was adopted, and speaks as it is."
        )
        if consents.newest(db, persona.id) is None:  # whose voice it is, so that their opting out reaches it
            subject = _plain(adopted.handle) or persona.handle
            consents.record(db, persona.id, "owner", subject, requested_by, _SOURCE, clone_id=clone.id)
        personas.set_current(db, persona.id, clone.id)
    return Newcomer(persona.handle, clone, before.version if before else None)
