"""Tables of schedules: what is to happen when, and what became of each run."""

from __future__ import annotations

from sqlite_utils import Database


def m010_schedules(db: Database) -> None:
    db.executescript("""
        create table schedules (
            id text primary key,
            number integer not null unique,
            persona_id text not null references personas (id) on delete cascade,
            action text not null check (action in ('post', 'refresh')),
            words text not null,
            kind text not null check (kind in ('weekly', 'cron', 'interval', 'random')),
            zone text not null,
            target text not null,
            prompt text not null default '',
            jitter_s integer not null,
            quiet text not null default '',
            begins_at text not null,
            ends_at text,
            misfire text not null check (misfire in ('skip', 'once', 'all')),
            state text not null check (state in ('active', 'paused', 'ended')),
            created_by text not null,
            created_at text not null,
            handled_until text,
            last_due_at text,
            next_due_at text
        ) strict;

        create index schedules_by_persona on schedules (persona_id);

        create table schedule_runs (
            schedule_id text not null references schedules (id) on delete cascade,
            due_at text not null,
            until_at text not null,
            outcome text not null check (outcome in ('decided', 'refreshed', 'skipped')),
            reason text not null default '',
            post_id text references outbox (id) on delete set null,
            at text not null,
            primary key (schedule_id, due_at)
        ) strict;

        create index schedule_runs_by_post on schedule_runs (post_id);
    """)


STEPS = (m010_schedules,)
