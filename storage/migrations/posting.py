"""Tables of posting: what is to be published, what became of it, what is switched off, what the owner is told."""

from __future__ import annotations

from sqlite_utils import Database

_OUTBOX = """
        create table outbox (
            id text primary key,
            persona_id text not null references personas (id) on delete cascade,
            clone_id text references clones (id) on delete set null,
            schedule_id text,
            target text not null,
            text text not null,
            prompt text not null default '',
            key text not null unique,
            state text not null check (
                state in ('draft', 'due', 'claimed', 'uncertain', 'asked', 'sent', 'skipped', 'rejected', 'failed')
            ),
            state_since text not null,
            reason text not null default '',
            due_at text not null,
            created_at text not null,
            ready_at text not null,
            expires_at text,
            decided_by text,
            attempts integer not null default 0,
            retry_at text,
            claimed_at text,
            since_id text,
            maybe_sent integer not null default 0 check (maybe_sent in (0, 1)),
            is_duplicate integer not null default 0 check (is_duplicate in (0, 1)),
            looks integer not null default 0,
            look_at text,
            platform_id text,
            sent_at text
        ) strict;

        create index outbox_by_state on outbox (state, due_at);
        create index outbox_by_persona on outbox (persona_id);
        create index outbox_by_clone on outbox (clone_id);
        create index outbox_by_schedule on outbox (schedule_id);
        create index outbox_by_claim on outbox (target, claimed_at);
        create unique index one_row_per_published_post on outbox (target, platform_id) where platform_id is not null;

        create table outbox_history (
            id integer primary key,
            post_id text not null references outbox (id) on delete cascade,
            at text not null,
            from_state text,
            to_state text not null,
            detail text not null
        ) strict;

        create index outbox_history_by_post on outbox_history (post_id);

        create table own_timelines (
            target text primary key,
            newest_id text not null,
            at text not null
        ) strict;

        create table switches (
            name text primary key,
            reason text not null,
            by text not null,
            at text not null
        ) strict;

        create table confirmations (
            name text primary key,
            by text not null,
            at text not null
        ) strict;

        create table notices (
            id integer primary key,
            at text not null,
            kind text not null,
            message text not null,
            hint text not null default '',
            times integer not null default 1,
            seen_at text
        ) strict;
"""


def m011_outbox(db: Database) -> None:
    db.executescript(_OUTBOX)


def m017_replies(db: Database) -> None:
    db.execute("alter table outbox add column reply_to text")


STEPS = (m011_outbox, m017_replies)
