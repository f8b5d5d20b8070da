"""A clone → the job that a trainer is given, and the files that the job reads, written from the database.

Functions for the database's thread (`Store.run`). The files lie in the job's own folder, readable by its owner alone,
and go with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from bot.data_folder import DataFolder
from bot.settings import Settings
from storage import blends, learning, personas, posts, weights
from storage.clones import Clone
from storage.personas import Persona
from trainer.protocol import FinetuneJob, Previous, Tracking
from trainer.recipes import Recipe

MOST_OTHERS = 8
POSTS_OF_OTHERS = 1_000
"""So many personas, and so many posts of each, tell a clone's samples from theirs."""
FEWEST_POSTS_OF_OTHERS = 200


def prepare(db: Database, clone: Clone, settings: Settings) -> FinetuneJob:
    """Write what the trainer reads, and say what it is to do. Raises StorageError where stored weights are damaged."""
    folder = DataFolder(settings.data_dir)
    work_dir = folder.jobs / clone.id
    work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    persona = personas.get(db, clone.persona_id)
    parts = blends.parts(db, persona.id)
    _write_lines(work_dir / "posts.jsonl", _post_lines(db, persona, parts))
    training, corpus = settings.training, settings.corpus
    return FinetuneJob(
        job_id=clone.id,
        base=clone.base,
        cache_dir=folder.cache,
        hub_url=settings.urls.hub,
        device=training.device,
        precision=training.precision,
        threads=training.threads,
        nice=training.nice,
        parent_pid=os.getpid(),
        persona=persona.handle,
        posts=work_dir / "posts.jsonl",
        work_dir=work_dir,
        recipe=Recipe.model_validate_json(clone.recipe_json),
        seed=clone.seed,
        min_characters=corpus.min_characters,
        warn_characters=corpus.warn_characters,
        shares={part.handle: part.share for part in parts} or None,
        previous=_previous(db, clone, persona, work_dir, training.replay),
        judged_samples=settings.quality.samples,
        others=write_others(db, persona, work_dir) if settings.quality.samples else None,
        tracking=_tracking(clone, settings, folder),
    )


def write_others(db: Database, persona: Persona, folder: Path) -> Path | None:
    """What other personas post, so that a classifier can tell them apart; None where nobody else is known.

    Blends are nobody, and the people of a blend are not told apart from it.
    """
    kin = {part.persona_id for part in blends.parts(db, persona.id)} | {persona.id}
    others: dict[str, list[str]] = {}
    for other in personas.all(db):
        if other.id not in kin and other.current_clone_id and not blends.parts(db, other.id):
            heard = [post.text for post in learning.corpus(db, other.current_clone_id) if post.split == "train"]
            if len(heard) >= FEWEST_POSTS_OF_OTHERS and len(others) < MOST_OTHERS:
                others[other.handle] = heard[-POSTS_OF_OTHERS:]
    if not others:
        return None
    path = folder / "others.jsonl"
    rows = ({"person": handle, "text": text} for handle, texts in others.items() for text in texts)
    _write_lines(path, (json.dumps(row, ensure_ascii=False) for row in rows))
    return path


def write_corpus(db: Database, clone_id: str, path: Path) -> Path:
    """What a clone learned from and what was held out, as the trainer's `counted` event names it."""
    posts_of_both = learning.corpus(db, clone_id)
    rows = ({"id": post.post_source_id, "split": post.split, "text": post.text} for post in posts_of_both)
    _write_lines(path, (json.dumps(row, ensure_ascii=False) for row in rows))
    return path


def tracking_folder(folder: DataFolder, clone_id: str) -> Path:
    """Where W&B keeps what it writes for a clone; erased with it."""
    return folder.tracking / clone_id


def _post_lines(db: Database, persona: Persona, parts: list[blends.Part]) -> Iterator[str]:
    """The persona's posts; those of everybody in a blend, with whose they are."""
    for persona_id, handle in [(part.persona_id, part.handle) for part in parts] or [(persona.id, "")]:
        for post in posts.of_persona(db, persona_id):
            when = post.created_at.isoformat() if post.created_at else None
            row = {"id": post.id, "created_at": when, "text": post.text, "kind": post.kind, "person": handle}
            yield json.dumps(row, ensure_ascii=False)


def _previous(db: Database, clone: Clone, persona: Persona, work_dir: Path, replay: float) -> Previous | None:
    """The version that a refresh goes on from, or else the one that speaks now, to compare with."""
    before = clone.goes_on_from or persona.current_clone_id
    model = weights.find_model(db, before) if before else None
    if before is None or model is None or model.base != clone.base:
        return None
    known = list(learning.corpus(db, before))
    learned = [post.post_source_id for post in known if post.split == "train"]
    if not learned:
        return None
    _write_lines(work_dir / "learned.txt", learned)
    _write_lines(work_dir / "known.txt", [post.post_source_id for post in known])
    weights_dir = work_dir / "previous"
    if not weights_dir.is_dir():
        weights.write_model(db, before, weights_dir)
    return Previous(
        weights_dir=weights_dir,
        learned=work_dir / "learned.txt",
        known=work_dir / "known.txt",
        go_on=clone.goes_on_from is not None,
        replay=replay,
    )


def _tracking(clone: Clone, settings: Settings, folder: DataFolder) -> Tracking | None:
    wanted = settings.tracking
    if wanted.mode == "off":
        return None
    online = wanted.mode == "auto" and settings.tokens.wandb_api_key is not None
    return Tracking(
        mode="online" if online else "offline",
        project=wanted.project,
        entity=wanted.entity,
        base_url=settings.urls.wandb,
        folder=tracking_folder(folder, clone.id),
    )


def _write_lines(path: Path, lines: Iterator[str] | list[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(line + "\n")
