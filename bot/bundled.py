"""The example persona that ships with Mynah, so that somebody can be talked to before anything is trained.

`make example` trains it (`bot.example.__main__`); what it writes beside its posts is read here.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib.resources import as_file, files

from pydantic import BaseModel, ConfigDict
from sqlite_utils import Database

from storage import clones, consents, learning, optouts, personas, posts, weights
from storage.posts import Post
from trainer.protocol import Counted
from trainer.recipes import Recipe

_FOLDER = files("bot") / "example"
ADAPTER = "adapter"
TRAINED = "trained.json"
"""What `make example` measured, beside the adapter."""


class Trained(BaseModel):
    """How the bundled adapter came to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    base_hash: str
    recipe: Recipe
    seed: int
    counted: Counted
    bits_per_byte_before: float
    bits_per_byte_after: float
    samples: tuple[tuple[int, str, str], ...]
    """Step, prompt, text."""


@cache
def bundled_handle() -> str:
    """The example's handle."""
    return str(json.loads((_FOLDER / "persona.json").read_text(encoding="utf-8"))["handle"])


def example_posts() -> list[Post]:
    """The example account's posts, oldest first."""
    rows = [json.loads(line) for line in (_FOLDER / "posts.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        Post("example", row["id"], bundled_handle(), datetime.fromisoformat(row["created_at"]), row["text"])
        for row in rows
    ]


def install(db: Database) -> bool:
    """Put the example persona into a database that does not know it; False where it does, or is to be without it.

    One transaction.
    """
    if personas.find(db, bundled_handle()) is not None or optouts.names(db, bundled_handle()):
        return False
    described = json.loads((_FOLDER / "persona.json").read_text(encoding="utf-8"))
    trained = Trained.model_validate_json((_FOLDER / TRAINED).read_text(encoding="utf-8"))
    counted = trained.counted
    with db.atomic(), as_file(_FOLDER / ADAPTER) as adapter:
        persona = personas.ensure(db, bundled_handle(), described["display_name"], "example", bundled=True)
        posts.add(db, persona.id, example_posts())
        consents.record(db, persona.id, "invented", persona.handle, "Mynah", "example")
        recipe = trained.recipe
        clone = clones.enqueue(
            db, persona.id, recipe.name, recipe.model_dump_json(), trained.base, trained.seed, "Mynah", None
        )
        clones.move(db, clone.id, "collecting")
        clones.move(db, clone.id, "training", "trained before it was shipped")
        clones.record_counts(
            db,
            clone.id,
            clones.Counts(
                downloaded=counted.downloaded,
                reposts=counted.reposts,
                short=counted.short,
                kept=counted.kept,
                duplicates=counted.duplicates,
                quoted=counted.quoted,
                characters=counted.characters,
                train_posts=counted.train,
                heldout_posts=counted.heldout,
            ),
        )
        clones.record_quality(db, clone.id, before=trained.bits_per_byte_before, after=trained.bits_per_byte_after)
        for step, prompt, text in trained.samples:
            learning.add_sample(db, clone.id, step, prompt, text)
        weights.save_model(db, clone.id, "lora", trained.base, trained.base_hash, adapter)
        clones.move(db, clone.id, "ready", base_hash=trained.base_hash)
        personas.set_current(db, persona.id, clone.id)
    return True
