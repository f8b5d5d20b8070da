from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from sqlite_utils import Database

from storage import clones, learning, personas, posts, x_collections
from storage.clones import MOVES, Clone, Counts, State
from storage.errors import StorageError
from storage.ids import utc_text
from storage.learning import CorpusPost
from storage.personas import Persona
from storage.posts import Post
from storage.x_collections import Collection

WAY_TO: dict[State, tuple[State, ...]] = {
    "queued": (),
    "collecting": ("collecting",),
    "training": ("collecting", "training"),
    "ready": ("collecting", "training", "ready"),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
}
LEGAL = [(start, to) for start, targets in MOVES.items() for to in sorted(targets)]
ILLEGAL = [pair for pair in product(MOVES, MOVES) if pair not in LEGAL]
COUNTS = Counts(1_986, 643, 230, 1_113, 12, 28, 90_000, 1_001, 112, "few posts")


def bring_to(db: Database, clone: Clone, state: State) -> Clone:
    for step in WAY_TO[state]:
        clones.move(db, clone.id, step)
    return clones.get(db, clone.id)


def ask(db: Database, handle: str, requested_by: str) -> Clone:
    return clones.enqueue(db, personas.ensure(db, handle).id, "mynah", "{}", "gpt2", 1, requested_by, None)


def waiting(db: Database) -> list[str]:
    handles = {persona.id: persona.handle for persona in personas.all(db)}
    return [handles[clone.persona_id] for clone in clones.in_line(db)]


def test_the_table_of_moves_is_the_one_that_was_agreed() -> None:
    assert len(LEGAL) == 11
    assert [state for state, targets in MOVES.items() if not targets] == ["ready", "failed", "cancelled"]


@pytest.mark.parametrize(("start", "to"), LEGAL)
def test_a_legal_move_is_written_with_its_history(fresh_db: Database, clone: Clone, start: State, to: State) -> None:
    before = bring_to(fresh_db, clone, start)
    moved = clones.move(fresh_db, clone.id, to, "because")
    assert moved == clones.get(fresh_db, clone.id)
    assert (moved.state, moved.state_since > before.state_since) == (to, True)
    assert (moved.finished_at is not None) == (to in ("ready", "failed", "cancelled"))
    last = clones.history(fresh_db, clone.id)[-1]
    assert (last.from_state, last.to_state, last.detail, last.at) == (start, to, "because", moved.state_since)


@pytest.mark.parametrize(("start", "to"), ILLEGAL)
def test_an_illegal_move_changes_nothing(fresh_db: Database, clone: Clone, start: State, to: State) -> None:
    before = bring_to(fresh_db, clone, start)
    history = clones.history(fresh_db, clone.id)
    with pytest.raises(StorageError, match=f"{start} cannot become {to}"):
        clones.move(fresh_db, clone.id, to)
    assert clones.get(fresh_db, clone.id) == before
    assert clones.history(fresh_db, clone.id) == history


def test_a_move_and_its_history_are_both_written_or_neither(fresh_db: Database, clone: Clone) -> None:
    fresh_db.execute("create trigger t before insert on clone_history begin select raise(abort, 'no room'); end")
    with pytest.raises(Exception, match="no room"):
        clones.move(fresh_db, clone.id, "collecting")
    assert clones.get(fresh_db, clone.id) == clone


def test_a_fresh_clone_waits_with_all_that_its_job_needs(clone: Clone, fresh_db: Database, ada: Persona) -> None:
    assert (clone.persona_id, clone.version, clone.state, clone.attempts) == (ada.id, 1, "queued", 0)
    assert (clone.recipe, clone.recipe_json, clone.base, clone.seed) == ("mynah", "{}", "smollm2-135m", 7)
    assert (clone.requested_by, clone.source_path, clone.counts) == ("console", "/tmp/ada.zip", None)
    assert [(move.from_state, move.to_state) for move in clones.history(fresh_db, clone.id)] == [(None, "queued")]


def test_the_path_is_kept_until_the_posts_are_stored(fresh_db: Database, clone: Clone) -> None:
    kept = [
        clones.move(fresh_db, clone.id, to).source_path
        for to in ("collecting", "queued", "collecting", "training", "queued")
    ]
    assert kept == ["/tmp/ada.zip", "/tmp/ada.zip", "/tmp/ada.zip", None, None]


def test_a_cancelled_clone_forgets_the_path(fresh_db: Database, clone: Clone) -> None:
    assert clones.move(fresh_db, clone.id, "cancelled").source_path is None


def test_attempts_count_how_often_work_began(fresh_db: Database, clone: Clone) -> None:
    for to in ("collecting", "queued", "collecting", "training", "queued", "collecting"):
        clones.move(fresh_db, clone.id, to)
    assert clones.get(fresh_db, clone.id).attempts == 3


def test_a_failure_is_kept_with_its_hint(fresh_db: Database, clone: Clone) -> None:
    failed = clones.move(
        fresh_db, clone.id, "failed", error_kind="disk_full", error_message="The disk is full.", error_hint="Make room."
    )
    assert (failed.error_kind, failed.error_message, failed.error_hint) == (
        "disk_full",
        "The disk is full.",
        "Make room.",
    )


def test_a_move_writes_only_what_belongs_to_it(fresh_db: Database, clone: Clone) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        clones.move(fresh_db, clone.id, "collecting", seed=3)  # type: ignore[call-arg]


def test_one_clone_of_a_persona_at_a_time(fresh_db: Database, clone: Clone, ada: Persona) -> None:
    for state in ("queued", "collecting", "training"):
        bring_to(fresh_db, clone, state) if state != "training" else clones.move(fresh_db, clone.id, state)
        with pytest.raises(StorageError, match=f"Version 1 of @ada is already {state}"):
            ask(fresh_db, "ada", "discord:1")
    clones.move(fresh_db, clone.id, "ready")
    again = ask(fresh_db, "ada", "discord:1")
    assert again.version == 2
    assert [each.version for each in clones.of_persona(fresh_db, ada.id)] == [2, 1]


def test_a_clone_of_nobody_is_refused(fresh_db: Database) -> None:
    with pytest.raises(StorageError, match="no persona"):
        clones.enqueue(fresh_db, "gone", "mynah", "{}", "gpt2", 1, "console", None)


def test_a_path_that_is_not_text_is_refused(fresh_db: Database, ada: Persona) -> None:
    with pytest.raises(StorageError, match="not valid UTF-8"):
        clones.enqueue(fresh_db, ada.id, "mynah", "{}", "gpt2", 1, "console", "/tmp/\udcff.zip")


def refreshed_in_vain(db: Database, clone: Clone, kind: str, *, days_ago: int) -> Clone:
    made = clones.enqueue(db, clone.persona_id, "mynah", "{}", "gpt2", 1, "console", None, goes_on_from=clone.id)
    clones.move(db, made.id, "collecting")
    clones.move(db, made.id, "failed", error_kind=kind, error_message="It failed.")
    then = utc_text(datetime.now(UTC) - timedelta(days=days_ago))
    db.execute("update clones set created_at = ? where id = ?", [then, made.id])
    return made


def versions(db: Database, clone: Clone) -> list[tuple[int, str | None]]:
    return [(one.version, one.error_kind) for one in clones.of_persona(db, clone.persona_id)]


def test_of_refreshes_in_vain_only_the_newest_is_kept(fresh_db: Database, clone: Clone) -> None:
    """A schedule may ask every day for months."""
    bring_to(fresh_db, clone, "ready")
    for days_ago, kind in ((5, "diverged"), (4, "too_few_posts"), (3, "too_few_posts"), (2, "too_few_posts")):
        refreshed_in_vain(fresh_db, clone, kind, days_ago=days_ago)
    assert versions(fresh_db, clone) == [(3, "too_few_posts"), (2, "diverged"), (1, None)]


def test_refreshes_in_vain_of_today_count_for_the_quota(fresh_db: Database, clone: Clone) -> None:
    bring_to(fresh_db, clone, "ready")
    for _ in range(3):
        refreshed_in_vain(fresh_db, clone, "too_few_posts", days_ago=0)
    assert [version for version, _ in versions(fresh_db, clone)] == [4, 3, 2, 1]


def test_how_far_x_was_read_and_paid_for_outlives_refreshes_in_vain(fresh_db: Database, clone: Clone) -> None:
    bring_to(fresh_db, clone, "ready")
    for newest_id in ("20", "30"):
        vain = refreshed_in_vain(fresh_db, clone, "too_few_posts", days_ago=3)
        read = Collection("7", "ada", "", None, "policy", 100, newest_id=newest_id, pages=1)
        x_collections.begin(fresh_db, vain.id, clone.persona_id, read)
    for _ in range(2):
        refreshed_in_vain(fresh_db, clone, "too_few_posts", days_ago=2)
    known = x_collections.newest(fresh_db, clone.persona_id)
    assert known is not None
    assert known.newest_id == "30"
    assert [version for version, _ in versions(fresh_db, clone)] == [4, 3, 1]


def test_requesters_take_turns(fresh_db: Database) -> None:
    for handle in ("a1", "a2", "a3"):
        ask(fresh_db, handle, "anna")
    for handle in ("b1", "b2"):
        ask(fresh_db, handle, "ben")
    ask(fresh_db, "c1", "cleo")
    assert waiting(fresh_db) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_was_served_longest_ago_is_next(fresh_db: Database) -> None:
    for handle, requested_by in [("a1", "anna"), ("b1", "ben"), ("a2", "anna"), ("b2", "ben"), ("c1", "cleo")]:
        ask(fresh_db, handle, requested_by)
    served = []
    while line := clones.in_line(fresh_db):
        served += waiting(fresh_db)[:1]
        clones.move(fresh_db, line[0].id, "collecting")
    assert served == ["a1", "b1", "c1", "a2", "b2"]


def test_a_restart_keeps_the_place_in_line(fresh_db: Database) -> None:
    first = ask(fresh_db, "a1", "anna")
    ask(fresh_db, "b1", "ben")
    clones.move(fresh_db, first.id, "collecting")
    clones.move(fresh_db, first.id, "training")
    clones.move(fresh_db, first.id, "queued", "restarted")
    assert waiting(fresh_db) == ["a1", "b1"]


def test_active_are_those_in_line_or_being_made(fresh_db: Database) -> None:
    made = {state: bring_to(fresh_db, ask(fresh_db, state, "console"), state) for state in MOVES}
    assert clones.active(fresh_db) == [made["queued"], made["collecting"], made["training"]]


def test_counts_and_quality_are_kept(fresh_db: Database, clone: Clone) -> None:
    clones.record_counts(fresh_db, clone.id, COUNTS)
    clones.record_quality(fresh_db, clone.id, before=2.5)
    clones.record_quality(fresh_db, clone.id, after=1.8, loss=3.1)
    kept = clones.get(fresh_db, clone.id)
    assert (kept.counts, kept.bits_per_byte_before, kept.bits_per_byte_after, kept.loss) == (COUNTS, 2.5, 1.8, 3.1)
    with pytest.raises(StorageError, match="no clone"):
        clones.record_counts(fresh_db, "gone", COUNTS)


def test_an_overview_lists_every_clone(fresh_db: Database, clone: Clone, ada: Persona) -> None:
    clones.record_counts(fresh_db, clone.id, COUNTS)
    bring_to(fresh_db, clone, "ready")
    personas.set_current(fresh_db, ada.id, clone.id)
    ask(fresh_db, "ada", "console")
    first, second = clones.overview(fresh_db)
    assert (first.handle, first.version, first.state, first.is_current, first.posts_kept) == (
        "ada", 1, "ready", True, 1_113
    )  # fmt: skip
    assert (second.version, second.state, second.is_current, second.posts_kept, second.model_size_bytes) == (
        2, "queued", False, None, None
    )  # fmt: skip


def test_a_corpus_replaces_the_one_before(fresh_db: Database, clone: Clone) -> None:
    learning.record_corpus(fresh_db, clone.id, [CorpusPost("1", "train", "old"), CorpusPost("2", "train", "old")])
    rows = [CorpusPost("9", "train", "new"), CorpusPost("1", "heldout", "newer")]
    learning.record_corpus(fresh_db, clone.id, iter(rows))
    assert list(learning.corpus(fresh_db, clone.id)) == rows
    with pytest.raises(Exception, match="CHECK"):
        learning.record_corpus(fresh_db, clone.id, [CorpusPost("1", "neither", "")])  # type: ignore[arg-type]
    assert list(learning.corpus(fresh_db, clone.id)) == rows


def test_samples_are_kept_in_order(fresh_db: Database, clone: Clone) -> None:
    learning.add_sample(fresh_db, clone.id, 20, "", "hm")
    learning.add_sample(fresh_db, clone.id, 40, "My dream is", "My dream is a nap")
    assert [(sample.step, sample.prompt, sample.text) for sample in learning.samples(fresh_db, clone.id)] == [
        (20, "", "hm"),
        (40, "My dream is", "My dream is a nap"),
    ]


def test_the_view_of_kept_posts_shows_both_texts(fresh_db: Database, clone: Clone, ada: Persona) -> None:
    same_id_elsewhere = Post("csv", "1", "ada", None, "elsewhere")
    posts.add(fresh_db, ada.id, [Post("x_archive", "1", "ada", None, "hello &amp; bye"), same_id_elsewhere])
    learning.record_corpus(fresh_db, clone.id, [CorpusPost("1", "heldout", "hello & bye")])
    view = "select handle, kind, split, cleaned_text from posts_kept"
    assert fresh_db.execute(view).fetchall() == []
    bring_to(fresh_db, clone, "ready")
    personas.set_current(fresh_db, ada.id, clone.id)
    assert fresh_db.execute(view).fetchall() == [("ada", "post", "heldout", "hello & bye")]


def test_the_timeline_tells_a_clones_life(fresh_db: Database, clone: Clone) -> None:
    bring_to(fresh_db, clone, "ready")
    assert fresh_db.execute("select handle, version, to_state from clone_timeline").fetchall() == [
        ("ada", 1, state) for state in ("queued", "collecting", "training", "ready")
    ]
