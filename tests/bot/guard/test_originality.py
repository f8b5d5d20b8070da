"""What counts as a copy, against a real database; and that the trainer's measure finds none that the guard let pass."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from bot.errors import GuardError
from bot.guard import originality
from bot.guard.originality import Copy, catch_up, find_copy
from storage import personas, posts
from storage.database import check, migrate, open_database
from storage.originality import counts
from storage.outbox import Decided, decide
from storage.personas import Persona
from storage.posts import Post
from trainer.quality.copying import Originals

LONG = "the quiet harbour town wakes up slowly when the first ferry comes around the lighthouse"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = open_database(tmp_path / "mynah.db")
    yield db
    db.close()


def published(db: Database, handle: str, *texts: str) -> Persona:
    persona = personas.ensure(db, handle)
    posts.add(db, persona.id, [Post("csv", f"{handle}-{text}", handle, None, text) for text in texts])
    while catch_up(db):
        pass
    return persona


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (LONG, "whole text"),
        (LONG.upper() + "!!", "whole text"),
        (f"I said: {' '.join(LONG.split()[3:11])}, really", "eight words in a row"),
        (LONG.replace("quiet", "loud").replace("ferry", "boat"), "two words replaced"),
        (LONG.replace("slowly ", ""), "a word left out"),
        (LONG.replace("when", "just when"), "a word put in"),
        ("see https://t.co/a1 " + LONG, "a link before it"),
    ],
)
def test_copy_of_anybodys_post_is_found(db: Database, text: str, kind: str) -> None:
    published(db, "bea", LONG, "something else entirely")
    ada = published(db, "ada", "my own words about tea")
    found = find_copy(db, text, ada.id)
    assert found is not None and found.of == "bea", kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "🙂",
        "the quiet harbour town is where I grew up",
        "when the first ferry comes around I am asleep, mostly",
        " ".join(reversed(LONG.split())),
    ],
)
def test_words_of_ones_own_are_no_copy(db: Database, text: str) -> None:
    published(db, "bea", LONG)
    assert find_copy(db, text, published(db, "ada", "tea").id) is None


def test_short_text_is_a_copy_where_it_is_a_post_of_ones_own_or_a_whole_post(db: Database) -> None:
    ada = published(db, "ada", "I would like a cup of green tea now")
    published(db, "bea", "we would like a cup of black coffee now", "good morning")
    assert find_copy(db, "a cup of green tea", ada.id) == Copy("run", 5, "ada")
    assert find_copy(db, "a cup of black coffee", ada.id) is None
    assert find_copy(db, "Good morning!", ada.id) == Copy("whole", 2, "bea")
    assert find_copy(db, "good", ada.id) is None


def test_words_of_the_prompt_are_the_askers(db: Database) -> None:
    ada = published(db, "ada", LONG)
    prompt = " ".join(LONG.split()[:9])
    assert find_copy(db, f"{prompt} I stay in bed", ada.id) is not None
    assert find_copy(db, f"{prompt} I stay in bed", ada.id, prompt=prompt) is None


def test_earlier_posts_of_the_persona_count_but_for_the_draft_itself(db: Database) -> None:
    ada = published(db, "ada", "tea")
    due = personas.get(db, ada.id).created_at
    decide(db, Decided(ada.id, None, None, "x", LONG, due, "key"))
    assert find_copy(db, LONG, ada.id) is not None, "also while it is unread"
    assert find_copy(db, LONG, ada.id, ignoring=LONG) is None
    catch_up(db)
    assert find_copy(db, LONG, ada.id) == Copy("run", 15, "ada")
    assert find_copy(db, LONG, ada.id, ignoring=LONG) is None


def test_text_of_nothing_but_common_runs_is_compared_all_the_same(db: Database) -> None:
    phrase = "one of the best days of my life so far"
    filler = [f"{number} " + " ".join(phrase.split()[at : at + 4]) for at in range(7) for number in range(70)]
    published(db, "bea", *filler)
    ada = published(db, "ada", "tea")
    assert find_copy(db, phrase, ada.id) is None
    published(db, "cyd", f"{phrase} says my aunt, every evening before she goes to bed with her books")
    assert find_copy(db, phrase, ada.id) == Copy("run", 10, "cyd")


def test_form_of_ones_own_with_another_number_is_a_near_copy(db: Database) -> None:
    ada = published(db, "ada", *(f"I ran {number} km today with RunApp" for number in range(100)))
    assert find_copy(db, "I ran 777 km today with RunApp", ada.id) == Copy("near", 6, "ada")


def test_nothing_is_original_while_too_much_is_unread(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = published(db, "ada", "tea")
    monkeypatch.setattr(originality, "_MOST_UNREAD", 1)
    posts.add(db, ada.id, [Post("csv", "2", "ada", None, "two"), Post("csv", "3", "ada", None, "three")])
    with pytest.raises(GuardError):
        find_copy(db, "something new and fine", ada.id)


def test_erased_persons_words_are_free_again(db: Database) -> None:
    bea = published(db, "bea", LONG)
    ada = published(db, "ada", "tea and biscuits for two")
    personas.erase(db, bea.id)
    assert find_copy(db, LONG, ada.id) is None
    assert counts(db) == (1, 0)
    assert db.table("word_runs").count == 3
    assert check(db) == []


SAID = ["tea", "cup", "sea", "ship", "day", "good", "red", "we", "of", "the"]
WORDS = st.lists(st.sampled_from(SAID), min_size=1, max_size=14)


@settings(max_examples=40)
@given(st.lists(WORDS, min_size=1, max_size=6), WORDS, st.randoms(use_true_random=False))
def test_trainers_measure_finds_no_copy_that_passed(
    known: list[list[str]], words: list[str], random: random.Random
) -> None:
    texts = [" ".join(post) for post in known]
    sample = " ".join(words if random.random() < 0.5 else random.choice(known)[random.randrange(3) :])
    db = Database(memory=True)
    db.execute("pragma foreign_keys = on")
    migrate(db)
    ada = published(db, "ada", *dict.fromkeys(texts))
    if find_copy(db, sample, ada.id) is None:
        assert not Originals(texts).nearest(sample).copied
    db.close()
