from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from storage import personas, posts
from storage.database import open_database
from storage.ids import new_id
from storage.personas import Persona
from storage.posts import Added, Post

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HELLO = Post("x_archive", "1", "Ada", NOON, "hello &amp; welcome", "reply", "hi")

some_posts = st.lists(
    st.builds(
        Post,
        source=st.sampled_from(["x_archive", "csv"]),
        id=st.sampled_from("12345"),
        author=st.sampled_from(["ada", ""]),
        created_at=st.none() | st.datetimes(min_value=datetime(2006, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        text=st.text(),
        kind=st.sampled_from(["post", "reply", "quote", "repost"]),
        in_reply_to=st.none() | st.text(),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def shared_db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for many generated examples, each with a persona of its own."""
    with open_database(tmp_path_factory.mktemp("posts") / "mynah.db") as db:
        yield db


def stored(db: Database, persona_id: str) -> dict[tuple[str, str], Post]:
    return {(post.source, post.id): post for post in posts.of_persona(db, persona_id)}


def broken(given_posts: list[Post]) -> Iterator[Post]:
    yield from given_posts
    raise OSError("the file ends in the middle of a post")


def test_a_post_comes_back_as_it_was_given(fresh_db: Database, ada: Persona) -> None:
    bare = Post("text", "b2:77", "", None, "no time, no author \0 \U0001f426\n")
    assert posts.add(fresh_db, ada.id, [HELLO, bare]) == Added(new=2, updated=0, unchanged=0)
    assert list(posts.of_persona(fresh_db, ada.id)) == [bare, HELLO]
    assert posts.count(fresh_db, ada.id) == 2


def test_posts_come_oldest_first_and_timeless_ones_in_order(fresh_db: Database, ada: Persona) -> None:
    timeless = [Post("text", name, "", None, name) for name in ("z", "a", "m")]
    dated = [replace(HELLO, id=str(year), created_at=NOON.replace(year=year)) for year in (2026, 2009, 2015)]
    posts.add(fresh_db, ada.id, [*dated, *timeless])
    assert [post.id for post in posts.of_persona(fresh_db, ada.id)] == ["z", "a", "m", "2009", "2015", "2026"]


def test_a_changed_post_is_updated_and_others_left_alone(fresh_db: Database, ada: Persona) -> None:
    other = replace(HELLO, id="2")
    posts.add(fresh_db, ada.id, [HELLO, other])
    edited = replace(HELLO, text="edited")
    assert posts.add(fresh_db, ada.id, [edited, other]) == Added(new=0, updated=1, unchanged=1)
    assert stored(fresh_db, ada.id) == {("x_archive", "1"): edited, ("x_archive", "2"): other}


def test_the_same_id_of_another_source_or_persona_is_another_post(fresh_db: Database, ada: Persona) -> None:
    grace = personas.ensure(fresh_db, "grace")
    assert posts.add(fresh_db, ada.id, [HELLO, replace(HELLO, source="csv")]).new == 2
    assert posts.add(fresh_db, grace.id, [HELLO]).new == 1
    assert (posts.count(fresh_db, ada.id), posts.count(fresh_db, grace.id)) == (2, 1)


def test_half_a_character_is_replaced(fresh_db: Database, ada: Persona) -> None:
    posts.add(fresh_db, ada.id, [replace(HELLO, text="a\ud83d b \ud83d\udc26")])
    assert [post.text for post in posts.of_persona(fresh_db, ada.id)] == ["a\ufffd b \U0001f426"]


def test_an_import_that_breaks_leaves_nothing(fresh_db: Database, ada: Persona) -> None:
    posts.add(fresh_db, ada.id, [HELLO])
    with pytest.raises(OSError, match="middle of a post"):
        posts.add(
            fresh_db,
            ada.id,
            broken([replace(HELLO, text="edited")] + [replace(HELLO, id=f"n{i}") for i in range(2_000)]),
        )
    assert stored(fresh_db, ada.id) == {("x_archive", "1"): HELLO}


@given(imports=st.lists(st.tuples(some_posts, st.booleans()), max_size=4))
def test_imports_add_up_whatever_breaks(shared_db: Database, imports: list[tuple[list[Post], bool]]) -> None:
    persona = personas.ensure(shared_db, new_id())
    expected: dict[tuple[str, str], Post] = {}
    for given_posts, breaks in imports:
        if breaks:
            with pytest.raises(OSError):
                posts.add(shared_db, persona.id, broken(given_posts))
            continue
        added = posts.add(shared_db, persona.id, given_posts)
        before = len(expected)
        expected |= {(post.source, post.id): post for post in given_posts}
        assert added.new == len(expected) - before
        assert added.new + added.updated + added.unchanged == len(given_posts)
        once = list({(post.source, post.id): post for post in given_posts}.values())
        assert posts.add(shared_db, persona.id, once) == Added(new=0, updated=0, unchanged=len(once))
    assert stored(shared_db, persona.id) == expected


def test_a_large_import_is_recognised_when_it_comes_again(db_path: Path) -> None:
    with open_database(db_path) as db:
        persona = personas.ensure(db, "ada")
        many = 20_000
        assert posts.add(db, persona.id, (replace(HELLO, id=str(i)) for i in range(many))).new == many
        assert posts.add(db, persona.id, (replace(HELLO, id=str(i)) for i in range(many))).unchanged == many
