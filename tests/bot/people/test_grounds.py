"""On what ground posts are used: what the file says, who gave it, what was agreed, and what a card tells of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from bot import clone_records
from bot.errors import OptedOut, SourceError
from bot.people.grounds import all_in_words, ground_of_file, in_words, scope_of
from bot.sources import Limits
from storage import clones, consents, optouts, personas, posts
from storage.consents import Consent, Ground
from storage.database import open_database
from storage.migrations import migrations
from tests.bot.sources.archives import account_js, tweet, tweets_js, write_zip
from tests.invented import write_csv

MEMBER = "281474976710656"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "mynah.db") as db:
        yield db


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    files = {"data/tweets.js": tweets_js(tweet("1", "hello")), "data/account.js": account_js("Ada")}
    return write_zip(tmp_path / "archive.zip", files)


def imported(db: Database, file: Path, requested_by: str, handle: str = "ada") -> Consent:
    """What is recorded once a clone's file was read."""
    persona = personas.ensure(db, handle)
    added_by(db, file, requested_by, handle)
    consent = consents.newest(db, persona.id)
    assert consent is not None and consent.clone_id == clones.of_persona(db, persona.id)[0].id
    return consent


def added_by(db: Database, file: Path, requested_by: str, handle: str) -> posts.Added:
    """What reading a clone's file did."""
    persona = personas.ensure(db, handle)
    clone = clones.enqueue(db, persona.id, "mynah", "{}", "gpt2", 1, requested_by, str(file))
    try:
        return clone_records.import_posts(db, clone, Limits(), threading.Event())
    finally:
        clones.move(db, clone.id, "cancelled")  # room for the next one


@pytest.mark.parametrize(
    ("source", "requested_by", "ground"),
    [
        ("x_archive", "console", "own_archive"),
        ("discord_package", "discord:1@2", "own_archive"),
        ("mastodon_archive", "console", "own_archive"),
        ("bluesky", "console", "owner"),  # anybody can export it
        ("bluesky", "discord:1", "own_word"),
        ("csv", "console", "owner"),
        ("json", "discord:1@2", "own_word"),
        ("example", "console", "invented"),
    ],
)
def test_a_file_says_on_what_ground_it_is_used(source: str, requested_by: str, ground: Ground) -> None:
    assert ground_of_file(source, requested_by) == ground


@pytest.mark.parametrize(
    "ground", ["own_archive", "own_word", "own_account", "owner", "allow_list", "policy", "invented"]
)
def test_every_ground_is_told_on_the_card(db: Database, ground: Ground) -> None:
    persona = personas.ensure(db, "ada")
    consent = consents.record(db, persona.id, ground, "ada", "console", "csv", scope_of(ground))
    assert in_words(consent).endswith(".")
    assert ("share" in consent.scope) == (ground not in ("allow_list", "policy"))


def test_each_kind_of_source_is_told_once_until_all_is_taken_back(db: Database) -> None:
    persona = personas.ensure(db, "ada")
    given: tuple[tuple[Ground, str], ...] = (("own_archive", "x_archive"), ("owner", "json"), ("owner", "json"))
    for ground, source in given:
        consents.record(db, persona.id, ground, "ada", "console", source)
    told = all_in_words(consents.of(db, persona.id))
    assert told.startswith("It is their own X archive")
    assert told.count("handed over the JSON file") == 1
    consents.withdraw(db, persona.id)
    assert "X archive" not in all_in_words(consents.of(db, persona.id))
    consents.record(db, persona.id, "own_word", "ada", "discord:1", "csv")
    assert all_in_words(consents.of(db, persona.id)).startswith("They handed over the CSV file themselves")


def test_an_archive_from_the_console_is_its_owners(db: Database, archive: Path) -> None:
    consent = imported(db, archive, "console")
    assert (consent.ground, consent.subject, consent.source) == ("own_archive", "ada", "x_archive")
    assert in_words(consent) == "It is their own X archive, which only they can download, handed over to this Mynah."


def test_what_a_member_agreed_to_is_kept_with_its_time(db: Database, archive: Path) -> None:
    request = consents.ask(db, MEMBER, "discord:7@1", "5")
    agreed = consents.agree(db, request.id)
    assert agreed.agreed_at == consents.agree(db, request.id).agreed_at, "saying so twice keeps the first time"
    consent = imported(db, archive, f"discord:{MEMBER}@1")
    assert (consent.subject, consent.at) == (f"discord:{MEMBER}", agreed.agreed_at)
    assert db.table("consent_requests").count == 0
    assert consents.personas_of(db, f"discord:{MEMBER}") == [consent.persona_id]
    assert consents.personas_of(db, "discord:28147497671065") == []


def test_a_file_of_somebody_who_opted_out_brings_nothing(db: Database, archive: Path) -> None:
    optouts.add(db, [optouts.digest("ada", optouts.ensure_salt(db))])
    with pytest.raises(OptedOut):
        imported(db, archive, "console", "somebody")
    assert db.table("posts").count == 0 and db.table("consents").count == 0
    (kept,) = db.query("select * from opt_outs")
    assert set(kept) == {"digest", "at"} and re.fullmatch(r"scrypt:[0-9a-f]{64}", kept["digest"])


@pytest.mark.parametrize("kind", ["zip", "csv"])
def test_two_people_are_not_mixed_into_one_voice(db: Database, tmp_path: Path, kind: str) -> None:
    def file(author: str, id: str) -> Path:
        if kind == "csv":
            return write_csv(tmp_path / f"{author}.csv", author, [f"{author} says {id}"])
        return archive_of(tmp_path / f"{author}.zip", author, id)

    imported(db, file("Ada", "1"), "discord:7", "me")
    imported(db, file("ada", "2"), "discord:7", "me")
    with pytest.raises(SourceError, match="The file is of @bea, and what @me learned from is of @ada"):
        imported(db, file("bea", "3"), "discord:7", "me")
    me = personas.ensure(db, "me")
    assert posts.authors(db, me.id, {"zip": "x_archive"}.get(kind, kind)) == {"ada"}
    imported(db, file("bea", "3"), "discord:7", "another")
    imported(db, file("me", "4"), "discord:7", "me")  # whom the clone is called after


def test_an_account_with_a_new_name_is_the_same_person(db: Database, tmp_path: Path) -> None:
    imported(db, archive_of(tmp_path / "then.zip", "ada", "1"), "console", "me")
    imported(db, archive_of(tmp_path / "now.zip", "countess", "1", "2"), "console", "me")
    assert posts.authors(db, personas.ensure(db, "me").id, "x_archive") == {"countess"}


def test_a_file_of_another_than_the_persona_is_called_after_is_told(db: Database, tmp_path: Path) -> None:
    own, theirs = (archive_of(tmp_path / f"{name}.zip", name, "1") for name in ("Me", "Ada"))
    assert added_by(db, own, "console", "me").of_another == ""
    assert added_by(db, theirs, "console", "you").of_another == "Ada"


def archive_of(path: Path, handle: str, *ids: str) -> Path:
    tweets = tweets_js(*(tweet(id, f"hello {id}") for id in ids))
    return write_zip(path, {"data/tweets.js": tweets, "data/account.js": account_js(handle)})


def test_posts_from_before_consents_were_kept_have_the_ground_of_their_source(tmp_path: Path) -> None:
    with Database(tmp_path / "old.db") as old:
        migrations.apply(old, stop_before="m008_people")
        for handle, source in (("ada", "x_archive"), ("bob", "csv"), ("a-b", "")):
            personas.ensure(old, handle, source=source)
        migrations.apply(old)
        grounds = {each.subject: each.ground for each in consents.all(old)}
        assert grounds == {"ada": "own_archive", "bob": "owner"}
        assert posts.count(old, consents.all(old)[0].persona_id) == 0
