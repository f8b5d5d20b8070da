"""Tables of people: on what ground a voice was learned, whom to ask, and who is never to be learned from.

A consent goes with its persona. A request to a member of Discord holds ids alone. An opt-out holds nothing that can be
read: a hash, salted, of a handle or an id.
"""

from __future__ import annotations

from sqlite_utils import Database


def m008_people(db: Database) -> None:
    db.executescript("""
        create table consents (
            id text primary key,
            persona_id text not null references personas (id) on delete cascade,
            clone_id text references clones (id) on delete set null,
            subject text not null,
            ground text not null check (
                ground in ('own_archive', 'own_word', 'own_account', 'owner', 'allow_list', 'policy', 'invented')
            ),
            scope text not null,
            asked_by text not null,
            source text not null,
            at text not null,
            withdrawn_at text
        ) strict;

        create index consents_by_persona on consents (persona_id, at);
        create index consents_by_clone on consents (clone_id);
        create index consents_by_subject on consents (subject);

        insert into consents (id, persona_id, subject, ground, scope, asked_by, source, at)
        select
            id, id, handle,
            case source when 'x_archive' then 'own_archive' when 'example' then 'invented' else 'owner' end,
            'train speak post share', 'Mynah', source, created_at
        from personas where source in ('x_archive', 'example', 'csv', 'json', 'text');

        create table consent_requests (
            id text primary key,
            member_id text not null,
            asked_by text not null,
            channel_id text not null,
            message_id text,
            recipe text,
            created_at text not null,
            agreed_at text
        ) strict;

        create index consent_requests_by_member on consent_requests (member_id);

        create table opt_outs (
            digest text primary key check (digest like 'scrypt:%'),
            at text not null
        ) strict;

        create table salts (
            name text primary key,
            salt blob not null
        ) strict;
    """)


STEPS = (m008_people,)
