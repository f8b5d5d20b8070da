from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from storage import clones, personas, posts
from storage.clones import Clone
from storage.errors import StorageError
from storage.personas import Persona, normalise_handle
from storage.posts import Post


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("ada", "ada"),
        (" @Ada_L \n", "ada_l"),
        ("@ada@Example.social", "ada@example.social"),
        ("ada.bsky.social", "ada.bsky.social"),
        ("my-file", "my-file"),
        ("@Zoë", "zoë"),
        ("a" * 64, "a" * 64),
    ],
)
def test_a_handle_is_normalised(written: str, normal: str) -> None:
    assert normalise_handle(written) == normal


@pytest.mark.parametrize("written", ["", " ", "@", "a" * 65, "two words", "a/b", "../etc", "a\0b", "<b>", "'; drop"])
def test_what_is_no_handle_is_refused(written: str) -> None:
    with pytest.raises(StorageError, match="is not a handle"):
        normalise_handle(written)


@given(st.text())
def test_a_normal_handle_stays_as_it_is(written: str) -> None:
    try:
        normal = normalise_handle(written)
    except StorageError:
        return
    assert 1 <= len(normal) <= 64
    if not normal.startswith("@"):
        assert normalise_handle(normal) == normal


def test_a_persona_is_made_once(fresh_db: Database) -> None:
    made = personas.ensure(fresh_db, "@Ada", "Ada Lovelace", "x_archive")
    assert (made.handle, made.display_name, made.source, made.bundled) == ("ada", "Ada Lovelace", "x_archive", False)
    assert personas.ensure(fresh_db, "ada") == made
    assert personas.all(fresh_db) == [made]


@pytest.mark.parametrize(
    ("state", "is_known"), [("queued", True), ("training", True), ("failed", False), ("cancelled", False)]
)
def test_whose_only_clone_came_to_nothing_is_not_known(
    fresh_db: Database, ada: Persona, state: clones.State, is_known: bool
) -> None:
    assert personas.known(fresh_db) == []
    clone = clones.enqueue(fresh_db, ada.id, "mynah", "{}", "gpt2", 1, "test", None)
    if state != "queued":
        fresh_db.execute("update clones set state = ? where id = ?", [state, clone.id])
    assert personas.known(fresh_db) == ([ada] if is_known else [])
    posts.add(fresh_db, ada.id, [Post("csv", "1", "ada", None, "hello")])
    assert personas.known(fresh_db) == [ada]


def test_a_name_that_is_given_later_replaces_the_known_one(fresh_db: Database) -> None:
    made = personas.ensure(fresh_db, "ada", source="csv")
    again = personas.ensure(fresh_db, "ADA", "Ada")
    assert (again.id, again.display_name, again.source) == (made.id, "Ada", "csv")


def test_a_persona_is_found_however_it_is_written(fresh_db: Database, ada: Persona) -> None:
    assert personas.find(fresh_db, "@ADA") == personas.get(fresh_db, ada.id) == ada
    assert personas.find(fresh_db, "grace") is None
    with pytest.raises(StorageError, match="no persona"):
        personas.get(fresh_db, "gone")


def test_a_ready_clone_becomes_the_voice(fresh_db: Database, ada: Persona, clone: Clone) -> None:
    with pytest.raises(StorageError, match="not a ready clone"):
        personas.set_current(fresh_db, ada.id, clone.id)
    for state in ("collecting", "training", "ready"):
        clones.move(fresh_db, clone.id, state)
    personas.set_current(fresh_db, ada.id, clone.id)
    assert personas.get(fresh_db, ada.id).current_clone_id == clone.id
    personas.set_current(fresh_db, ada.id, None)
    assert personas.get(fresh_db, ada.id).current_clone_id is None


def test_the_clone_of_another_is_no_voice(fresh_db: Database, ada: Persona, clone: Clone) -> None:
    for state in ("collecting", "training", "ready"):
        clones.move(fresh_db, clone.id, state)
    grace = personas.ensure(fresh_db, "grace")
    with pytest.raises(StorageError, match="not a ready clone"):
        personas.set_current(fresh_db, grace.id, clone.id)
