"""Tables of Discord: where a clone's message is, who speaks where, and which message was whose.

Ids of Discord alone: no text, no name and no handle of anybody is here. What belongs to messages and webhooks outlives
its clone or persona, so that they can be cleared away on Discord, too.
"""

from __future__ import annotations

from sqlite_utils import Database


def m009_discord(db: Database) -> None:
    db.executescript("""
        create table discord_progress (
            clone_id text primary key,
            channel_id text not null,
            message_id text,
            told integer not null default 0 check (told in (0, 1)),
            created_at text not null
        ) strict;

        create table discord_webhooks (
            channel_id text not null,
            persona_id text not null,
            webhook_id text not null unique,
            token text not null,
            look text not null,
            used_at text not null,
            primary key (channel_id, persona_id)
        ) strict;

        create table discord_spoken (
            message_id text primary key,
            persona_id text not null references personas (id) on delete cascade,
            at text not null
        ) strict;

        create index discord_spoken_by_time on discord_spoken (at);
        create index discord_spoken_by_persona on discord_spoken (persona_id);

        create table discord_bindings (
            channel_id text primary key,
            guild_id text not null,
            persona_id text not null references personas (id) on delete cascade,
            chime_chance real not null default 0 check (chime_chance between 0 and 1),
            quiet_from text,
            quiet_until text,
            bound_at text not null
        ) strict;

        create index discord_bindings_by_persona on discord_bindings (persona_id);

        create table persona_limits (
            persona_id text primary key references personas (id) on delete cascade,
            blocked_words_json text not null
        ) strict;
    """)


def m015_synced_commands(db: Database) -> None:
    db.executescript("""
        create table discord_commands (
            scope text primary key,
            digest text not null,
            synced_at text not null
        ) strict;
    """)


STEPS = (m009_discord, m015_synced_commands)
