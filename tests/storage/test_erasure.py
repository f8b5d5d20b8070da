"""Nothing of a person stays. The walk over the schema fails for a table that this file does not know."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlite_utils import Database

from storage import (
    allowances,
    blends,
    choices,
    clones,
    consents,
    discord,
    drafts,
    evaluations,
    learning,
    originality,
    personas,
    posts,
    schedules,
    weights,
    x_collections,
)
from storage.allowances import Allowance
from storage.blends import PersonHeard
from storage.clones import Counts
from storage.database import check
from storage.drafts import Approval, DraftMessage
from storage.errors import StorageError
from storage.evaluations import Measured, TrackedRun
from storage.learning import CorpusPost
from storage.originality import Reading
from storage.outbox import Decided, decide
from storage.personas import Persona
from storage.posts import Post
from storage.schedules import New, Run
from storage.tensor_file import TensorSpec, write_tensors
from storage.x_collections import Collection

OF_PERSONS = {
    "blend_parts", "clone_history", "clone_people", "clone_posts", "clones", "evaluations", "model_files",
    "model_tensors", "models", "personas", "posts", "samples", "tensors", "tracked_runs",
}  # fmt: skip
OF_PERSONS |= {
    "allowances",
    "approvals",
    "choices",
    "draft_messages",
    "known_personas",
    "known_texts",
    "refusals",
    "texts_to_read",
    "word_runs",
}
OF_PERSONS |= {"outbox", "outbox_history"}
OF_PERSONS |= {"schedules", "schedule_runs"}
OF_PERSONS |= {"consents"}
OF_PERSONS |= {"x_collections"}
OF_PERSONS |= {"discord_spoken", "discord_bindings", "persona_limits"}
NOT_OF_PERSONS = {"_sqlite_migrations"}
NOT_OF_PERSONS |= {"consent_requests", "opt_outs", "salts"}  # ids of Discord, and hashes
NOT_OF_PERSONS |= {"confirmations", "notices", "own_timelines", "switches", "x_requests"}
NOT_OF_PERSONS |= {"discord_commands"}
NOT_OF_PERSONS |= {"discord_progress", "discord_webhooks"}  # ids, by which the messages themselves are cleared away
NOT_OF_PERSONS |= {"rerankers"}  # weights of figures, which a person's choices have a small part in


def live(db: Database, handle: str, mark: str, folder: Path, own_weight: bytes) -> Persona:
    """A persona with a row in every table, `mark` in each of its texts, and one tensor that every such persona has."""
    persona = personas.ensure(db, handle, mark)
    posts.add(db, persona.id, [Post("csv", "1", mark, None, mark, "reply", mark)])
    clone = clones.enqueue(db, persona.id, "mynah", "{}", "gpt2", 1, mark, f"/home/{mark}.zip")
    x_collections.begin(db, clone.id, persona.id, Collection(mark, mark, mark, 1, "policy", 5))
    clones.move(db, clone.id, "collecting", mark)
    clones.record_counts(db, clone.id, Counts(1, 0, 0, 1, 0, 0, 5, 1, 0, warning=mark))
    learning.record_corpus(db, clone.id, [CorpusPost("1", "train", mark)])
    learning.add_sample(db, clone.id, 1, mark, mark)
    clones.move(db, clone.id, "training")
    folder.mkdir()
    specs = [TensorSpec("own", "U8", (len(own_weight),)), TensorSpec("shared", "U8", (3,))]
    write_tensors(folder / "adapter_model.safetensors", specs, [own_weight, b"abc"])
    (folder / "adapter_config.json").write_text(mark)
    weights.save_model(db, clone.id, "lora", "gpt2", "b2:0", folder)
    evaluations.add(db, clone.id, Measured(0, None, None, None, None, None, None, mark))
    evaluations.record_run(db, clone.id, TrackedRun("train", mark, mark))
    clones.record_drift(db, clone.id, mark)
    clones.move(db, clone.id, "ready", verdict=mark)
    personas.set_current(db, persona.id, clone.id)
    blend = personas.ensure(db, f"{handle}-in-a-blend", mark)
    blends.set_parts(db, blend.id, {persona.id: 0.5})
    blended = clones.enqueue(db, blend.id, "mynah", "{}", "gpt2", 1, mark, None)
    blends.record_people(db, blended.id, [PersonHeard(mark, 1, 0, 0, 1, 5, 0.5)])
    consents.record(db, persona.id, "owner", mark, mark, mark, clone_id=clone.id)
    _look_at(db, persona, mark)
    _plan(db, persona, mark)
    discord.spoken(db, 4, persona.id, persona.created_at)
    discord.bind(db, len(mark), 1, persona.id)
    discord.set_blocked_words(db, persona.id, [mark])
    return persona


def _plan(db: Database, persona: Persona, mark: str) -> None:
    """A schedule, and what became of one of its runs."""
    now = persona.created_at
    asked = New(persona.id, "post", mark, "weekly", "UTC", "x", mark, 0, "", now, None, "skip", mark, now)
    schedule = schedules.add(db, asked, most=1)
    schedules.record(db, Run(schedule.id, now, now, "skipped", mark, None, now))


def _look_at(db: Database, persona: Persona, mark: str) -> None:
    """What the guard and whoever approves drafts leave behind."""
    originality.record(db, [Reading(persona.id, 1, mark.encode(), (len(mark), 8))], [])
    drafts.set_approval(db, persona.id, Approval("review"), persona.created_at)
    allowances.set(db, persona.id, Allowance(links=True), persona.created_at)
    choices.add(db, persona.id, mark, True, [1.0], mark, persona.created_at)
    due = Decided(persona.id, None, None, "x", mark, persona.created_at, mark, "draft")
    drafts.record_message(db, DraftMessage(decide(db, due) or "", "1", "2"))
    choices.count_refusal(db, persona.id, mark, 1, persona.created_at)


def test_every_table_is_emptied(fresh_db: Database, tmp_path: Path) -> None:
    persona = live(fresh_db, "ada", "mark-of-ada", tmp_path / "model", b"mark-of-ada" * 1_000)
    tables = set(fresh_db.table_names())
    assert tables == OF_PERSONS | NOT_OF_PERSONS, "a new table: does erase() empty it?"
    assert all(fresh_db.table(name).count > 0 for name in OF_PERSONS), "this test has no row to erase in some table"
    personas.erase(fresh_db, persona.id)
    assert {name: fresh_db.table(name).count for name in OF_PERSONS} == dict.fromkeys(OF_PERSONS, 0)
    assert check(fresh_db) == []


def test_nothing_is_left_in_the_files(fresh_db: Database, db_path: Path, tmp_path: Path) -> None:
    persona = live(fresh_db, "ada", "mark-of-ada", tmp_path / "model", b"mark-of-ada" * 1_000)

    def on_disk() -> bool:
        return any(b"mark-of-ada" in path.read_bytes() for path in db_path.parent.iterdir())

    assert on_disk()
    personas.erase(fresh_db, persona.id)
    assert not on_disk()


def test_others_keep_what_is_theirs(fresh_db: Database, tmp_path: Path) -> None:
    ada = live(fresh_db, "ada", "ada", tmp_path / "a", b"weights of ada")
    grace = live(fresh_db, "grace", "grace", tmp_path / "g", b"weights of grace")
    personas.erase(fresh_db, ada.id)
    assert [persona.handle for persona in personas.all(fresh_db)] == ["grace", "grace-in-a-blend"]
    assert posts.count(fresh_db, grace.id) == 1
    current = personas.get(fresh_db, grace.id).current_clone_id
    assert current is not None
    weights.verify(fresh_db, current)
    assert fresh_db.table("tensors").count == 2


def test_erasing_nobody_is_refused(fresh_db: Database) -> None:
    with pytest.raises(StorageError, match="no persona"):
        personas.erase(fresh_db, "gone")
