"""Tables of X: what every request cost, and how far each collection of posts has come."""

from __future__ import annotations

from sqlite_utils import Database


def m012_x(db: Database) -> None:
    db.executescript("""
        create table x_requests (
            id text primary key,
            at text not null,
            kind text not null check (kind in ('read', 'user', 'post', 'post_with_link')),
            purpose text not null,
            units integer not null check (units >= 0),
            unit_price_microdollars integer not null check (unit_price_microdollars >= 0),
            state text not null check (state in ('reserved', 'settled', 'released')),
            closed_at text
        ) strict;

        create index x_requests_by_time on x_requests (at);

        create table x_collections (
            clone_id text primary key references clones (id) on delete cascade,
            persona_id text not null references personas (id) on delete cascade,
            account_id text not null,
            handle text not null,
            display_name text not null,
            post_count integer,
            ground text not null,
            depth integer not null,
            since_id text,
            newest_id text,
            oldest_id text,
            next_token text,
            read integer not null default 0,
            is_complete integer not null default 0 check (is_complete in (0, 1)),
            pages integer not null default 0,
            new_posts integer not null default 0,
            updated_posts integer not null default 0,
            unchanged_posts integer not null default 0,
            ended_at text
        ) strict;

        create index x_collections_by_persona on x_collections (persona_id);
    """)


STEPS = (m012_x,)
