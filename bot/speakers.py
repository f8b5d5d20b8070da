"""A persona's stored model → the files that the voice speaks from, made from the database when they are not there.

What lies in the cache can be deleted at any time; weights are checked by their hashes when they are read.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from bot.data_folder import DataFolder
from bot.errors import NotFound
from bot.launchers import local
from bot.settings import Settings
from bot.voice.base import Speaker
from storage import blends, clones, personas, weights
from storage.clones import Clone
from storage.database import Store
from storage.personas import Persona
from storage.weights import Model
from trainer import catalog
from trainer.protocol import ExportJob
from trainer.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Ready:
    """A persona that can speak: who it is, which clone speaks, and how."""

    persona: Persona
    clone: Clone
    model: Model
    recipe: Recipe


class Speakers:
    """Finds the clone that speaks for a handle, and puts its model on disk."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._folder = DataFolder(settings.data_dir)
        self._store = store
        self._writing = asyncio.Lock()

    async def find(self, handle: str) -> Ready:
        """The persona's current clone.

        Raises:
            NotFound: for an unknown handle, or one without a ready clone.
        """
        return await self._store.run(_find, handle)

    async def speaker(self, ready: Ready) -> Speaker:
        """The persona as files. An adapter on a GGUF base is served as it is; all else as an exported folder."""
        base = catalog.gguf_file(ready.model.base)
        has_llama_cpp = importlib.util.find_spec("xllamacpp") is not None
        if ready.model.method == "lora" and base is not None and has_llama_cpp:
            return Speaker(key=ready.clone.id, base=base, adapter=await self.weights(ready))
        exported = self._folder.cache / "exports" / ready.clone.id
        if not exported.is_dir():
            async with self._writing:
                if not exported.is_dir():  # somebody else may have waited for it, too
                    await self._export(ready, exported)
        return Speaker(key=ready.clone.id, model=exported)

    async def export(self, handle: str, out_dir: Path) -> Ready:
        """Write the persona's model as a folder that `transformers.pipeline` loads.

        Raises:
            NotFound, TrainerFailed: where there is no model, or the folder cannot be written.
        """
        ready = await self.find(handle)
        async with self._writing:
            await self._export(ready, out_dir)
        return ready

    async def weights(self, ready: Ready) -> Path:
        """The persona's model as it is stored: an adapter, or a whole model."""
        folder = self._weights_folder(ready)
        if folder.is_dir():  # nobody waits for another one's to be written
            return folder
        async with self._writing:
            return await self._weights(ready)

    def _weights_folder(self, ready: Ready) -> Path:
        return self._folder.cache / "models" / ready.clone.id

    async def _weights(self, ready: Ready) -> Path:
        folder = self._weights_folder(ready)
        if not folder.is_dir():
            await self._store.run(weights.write_model, ready.clone.id, folder)
        return folder

    async def _export(self, ready: Ready, out_dir: Path) -> None:
        job = self._export_job(ready, await self._weights(ready), out_dir)
        await local.errand(job, self._folder.logs / f"{job.job_id}.log")

    def _export_job(self, ready: Ready, weights_dir: Path, out_dir: Path) -> ExportJob:
        return ExportJob(
            job_id=f"export-{ready.clone.id}",
            # A whole model brings its own tokenizer; that of one that was adopted may lie nowhere else.
            base=str(weights_dir.absolute()) if ready.model.method == "full" else ready.model.base,
            cache_dir=self._folder.cache,
            hub_url=self._settings.urls.hub,
            parent_pid=os.getpid(),
            weights_dir=weights_dir,
            out_dir=out_dir.absolute(),
            sampling=ready.recipe.sampling,
        )


def _find(db: Database, handle: str) -> Ready:
    persona = personas.find(db, handle)
    if persona is None:
        known = ", ".join(f"@{each.handle}" for each in personas.known(db)) or "nobody yet"
        raise NotFound(f"There is no persona @{handle.strip().removeprefix('@')}.", f"Known are: {known}.")
    model = weights.find_model(db, persona.current_clone_id) if persona.current_clone_id else None
    if persona.current_clone_id is None or model is None:
        under_way = [clone for clone in clones.active(db) if clone.persona_id == persona.id]
        people = " ".join(f"@{part.handle}" for part in blends.parts(db, persona.id))
        if under_way:
            hint = f"It is {under_way[0].state}; it is made while `mynah run` runs."
        elif people:
            hint = f"Blend its people again: /blend {people} as={persona.handle}"
        else:
            hint = f"Make one: /clone @{persona.handle} file=…"
        raise NotFound(f"@{persona.handle} has no ready clone.", hint)
    clone = clones.get(db, persona.current_clone_id)
    return Ready(persona, clone, model, Recipe.model_validate_json(clone.recipe_json))
