from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from storage import database
from storage.database import check, migrate, open_database, open_readonly
from storage.errors import StorageError
from storage.migrations import migrations, names

NAMES = names()

ROWS = {
    "m001_personas_and_posts": """
        insert into personas (id, handle, display_name, source, bundled, created_at)
            values ('P1', 'ada', 'Ada', 'csv', 0, '2026-01-01T00:00:00.000000Z');
        insert into posts (persona_id, source, source_id, author, created_at, text, kind, in_reply_to, imported_at)
            values ('P1', 'csv', '1', 'ada', null, 'hello', 'post', null, '2026-01-01T00:00:00.000000Z');
    """,
    "m002_clones": """
        insert into clones (id, persona_id, version, recipe, recipe_json, base, seed, requested_by, state, state_since,
            created_at) values ('C1', 'P1', 1, 'mynah', '{}', 'gpt2', 1, 'console', 'ready', 'now', 'now');
        insert into clone_history (clone_id, at, to_state, detail) values ('C1', 'now', 'queued', '');
        update personas set current_clone_id = 'C1';
    """,
    "m003_corpus_and_samples": """
        insert into clone_posts (clone_id, position, post_source_id, split, text)
            values ('C1', 0, '1', 'train', 'hello');
        insert into samples (clone_id, at, step, prompt, text) values ('C1', 'now', 3, '', 'hi');
    """,
    "m004_weights": """
        insert into tensors values ('b2:0', 'U8', '[1]', 1, x'00');
        insert into models values ('C1', 'lora', 'gpt2', '', 'now');
        insert into model_tensors values ('C1', 'w', 'b2:0');
        insert into model_files values ('C1', 'config.json', 'b2:1', x'7b7d');
    """,
    "m005_views": "",
    "m006_versions_quality_and_blends": """
        insert into personas (id, handle, display_name, source, bundled, created_at)
            values ('P2', 'a-b', '', '', 0, 'now');
        insert into blend_parts values ('P2', 'P1', 0.7);
        insert into evaluations (clone_id, at, heldout_posts, report_json) values ('C1', 'now', 0, '{}');
        insert into clone_people values ('C1', 'ada', 1, 0, 0, 1, 5, 0.7);
        insert into tracked_runs values ('C1', 'train', 'r', '');
    """,
    "m007_who_spoke": "",
    "m008_people": """
        insert into consents (id, persona_id, subject, ground, scope, asked_by, source, at)
            values ('S1', 'P1', 'ada', 'owner', 'train speak', 'console', 'csv', 'now');
        insert into consent_requests (id, member_id, asked_by, channel_id, created_at)
            values ('Q1', '1', 'discord:2', '3', 'now');
        insert into opt_outs values ('scrypt:00', 'now');
        insert into salts values ('opt-outs', x'00');
    """,
    "m009_discord": """
        insert into discord_progress (clone_id, channel_id, message_id, created_at) values ('C1', '1', '2', 'now');
        insert into discord_webhooks values ('1', 'P1', '3', 'secret', 'look', 'now');
        insert into discord_spoken values ('4', 'P1', 'now');
        insert into discord_bindings (channel_id, guild_id, persona_id, bound_at) values ('1', '5', 'P1', 'now');
        insert into persona_limits values ('P1', '["x"]');
    """,
    "m015_synced_commands": "insert into discord_commands values ('global', 'digest', 'now');",
    "m010_schedules": """
        insert into schedules (id, number, persona_id, action, words, kind, zone, target, jitter_s, begins_at, misfire,
            state, created_by, created_at) values ('H1', 1, 'P1', 'post', 'every 3h', 'interval', 'UTC', 'x', 0, 'now',
            'skip', 'active', 'console', 'now');
        insert into schedule_runs values ('H1', 'now', 'now', 'skipped', '', null, 'now');
    """,
    "m011_outbox": """
        insert into outbox (id, persona_id, target, text, key, state, state_since, due_at, created_at, ready_at)
            values ('O1', 'P1', 'x', 'hi', 'k1', 'due', 'now', 'now', 'now', 'now');
        insert into outbox_history (post_id, at, to_state, detail) values ('O1', 'now', 'due', '');
        insert into own_timelines values ('x', '1', 'now');
        insert into switches values ('pause', '', 'console', 'now');
        insert into confirmations values ('x-etiquette:1', 'console', 'now');
        insert into notices (at, kind, message) values ('now', 'halt', '');
    """,
    "m017_replies": """
        insert into outbox (id, persona_id, target, text, key, state, state_since, due_at, created_at, ready_at,
            reply_to) values ('O2', 'P1', 'x', 'yes', 'reply:7:8', 'due', 'now', 'now', 'now', 'now', '7');
    """,
    "m012_x": """
        insert into x_requests values ('R1', 'now', 'read', 'posting', 5, 5000, 'reserved', null);
        insert into x_collections (clone_id, persona_id, account_id, handle, display_name, ground, depth)
            values ('C1', 'P1', '1', 'ada', 'Ada', 'policy', 5);
    """,
    "m013_known_texts": """
        insert into texts_to_read (persona_id, text) values ('P1', 'hello');
        insert into known_personas (number, persona_id) values (1, 'P1');
        insert into known_texts (number, owner, digest, words) values (16777216, 1, 5, x'00000000');
        insert into word_runs (hash, number) values (7, 16777216);
    """,
    "m014_approval": """
        insert into approvals values ('P1', 'review', 0, 72.0, 'now');
        insert into outbox (id, persona_id, target, text, key, state, state_since, due_at, created_at, ready_at)
            values ('O9', 'P1', 'x', 'hi', 'k9', 'draft', 'now', 'now', 'now', 'now');
        insert into draft_messages values ('O9', '1', '2');
        insert into choices (persona_id, at, by, chosen, features_json) values ('P1', 'now', 'console', 1, '[]');
        insert into refusals values ('P1', 'copy', 1, 'now');
        insert into rerankers values (1, 'now', '{}');
    """,
    "m016_allowances": "insert into allowances values ('P1', 0, 1, 0, 'now');",
}


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "old.db") as db:
        yield db


def test_every_migration_has_rows_to_start_from() -> None:
    assert list(ROWS) == NAMES


@pytest.mark.parametrize("reached", range(len(NAMES)))
def test_an_old_schema_is_brought_up_to_date(empty: Database, reached: int) -> None:
    migrations.apply(empty, stop_before=NAMES[reached])
    migrate(empty)
    assert check(empty) == []
    with Database(memory=True) as new:
        migrate(new)
        assert empty.schema == new.schema


@pytest.mark.parametrize("reached", range(1, len(NAMES) + 1))
def test_an_old_schema_keeps_its_rows(empty: Database, reached: int) -> None:
    for name, following in zip(NAMES[:reached], [*NAMES[1:], None][:reached], strict=True):
        migrations.apply(empty, stop_before=following)
        empty.executescript(ROWS[name])
    tables = [name for name in empty.table_names() if name != "_sqlite_migrations"]
    before = {name: empty.table(name).count for name in tables}
    assert before and all(before.values())
    migrate(empty)
    assert {name: empty.table(name).count for name in tables} == before
    kept = "select handle, text from personas join posts on persona_id = id where handle = 'ada'"
    assert empty.execute(kept).fetchall() == [("ada", "hello")]
    assert check(empty) == []


def later_migrations(fail: Callable[[Database], None]) -> Migrations:
    later = Migrations("mynah")
    with Database(memory=True) as nothing:
        for migration in migrations.pending(nothing):
            later(name=migration.name)(migration.fn)

    @later()
    def m998_fine(db: Database) -> None:
        db.execute("create table extra (x integer) strict")

    later(name="m999_fails")(fail)
    return later


def raise_half_way(db: Database) -> None:
    db.execute("create table half (x integer) strict")
    raise RuntimeError("half way")


def leave_orphans(db: Database) -> None:
    db.execute("delete from personas")


@pytest.mark.parametrize(
    ("fail", "error"), [(raise_half_way, RuntimeError), (leave_orphans, StorageError)], ids=["raises", "orphans"]
)
def test_failing_migration_rolls_back(
    db_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[Database], None],
    error: type[Exception],
) -> None:
    with open_database(db_path) as db:
        db.executescript(ROWS["m001_personas_and_posts"])
        before = "\n".join(db.conn.iterdump())
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", later_migrations(fail))
        with pytest.raises(error):
            open_database(db_path)
    with open_database(db_path) as db:
        assert "\n".join(db.conn.iterdump()) == before
        assert db.execute("pragma foreign_keys").fetchone()[0] == 1


def test_a_listing_of_an_older_database_says_what_to_do(empty: Database, tmp_path: Path) -> None:
    migrations.apply(empty, stop_before=NAMES[-1])
    with pytest.raises(StorageError, match="older Mynah") as refused:
        open_readonly(tmp_path / "old.db")
    assert "mynah run" in refused.value.hint
