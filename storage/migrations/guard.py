"""Tables of what may leave: which texts are known, so that none leaves a second time; who approves; what was chosen.

Every text that somebody published, or that a persona is to publish, waits in `texts_to_read` from the moment it is
written, by whatever code: triggers see to it. The guard reads it into `known_texts` and `word_runs`.
"""

from __future__ import annotations

from sqlite_utils import Database


def m013_known_texts(db: Database) -> None:
    db.executescript("""
        create table texts_to_read (
            id integer primary key,
            persona_id text not null references personas (id) on delete cascade,
            text text not null
        ) strict;

        create index texts_to_read_by_persona on texts_to_read (persona_id);

        create table known_personas (
            number integer primary key,
            persona_id text not null unique references personas (id) on delete cascade
        ) strict;

        create table known_texts (
            number integer primary key,
            owner integer not null references known_personas (number) on delete cascade,
            digest integer not null,
            words blob not null,
            unique (owner, digest)
        ) strict;

        create table word_runs (
            hash integer not null,
            number integer not null,
            primary key (hash, number)
        ) strict, without rowid;

        create trigger posts_are_to_be_read after insert on posts begin
            insert into texts_to_read (persona_id, text) values (new.persona_id, new.text);
        end;

        create trigger changed_posts_are_to_be_read after update of text on posts when new.text <> old.text begin
            insert into texts_to_read (persona_id, text) values (new.persona_id, new.text);
        end;

        create trigger lessons_are_to_be_read after insert on clone_posts begin
            insert into texts_to_read (persona_id, text)
            select persona_id, new.text from clones where id = new.clone_id;
        end;

        create trigger outbox_is_to_be_read after insert on outbox begin
            insert into texts_to_read (persona_id, text) values (new.persona_id, new.text);
        end;

        create trigger changed_outbox_is_to_be_read after update of text on outbox when new.text <> old.text begin
            insert into texts_to_read (persona_id, text) values (new.persona_id, new.text);
        end;

        insert into texts_to_read (persona_id, text) select persona_id, text from posts;
        insert into texts_to_read (persona_id, text)
        select clones.persona_id, clone_posts.text from clone_posts join clones on clones.id = clone_posts.clone_id;
        insert into texts_to_read (persona_id, text) select persona_id, text from outbox;
    """)


def m014_approval(db: Database) -> None:
    db.executescript("""
        create table approvals (
            persona_id text primary key references personas (id) on delete cascade,
            mode text not null check (mode in ('auto', 'review', 'review-first-n')),
            first integer not null default 0 check (first >= 0),
            expires_after_h real not null check (expires_after_h > 0),
            at text not null
        ) strict;

        create table draft_messages (
            post_id text primary key references outbox (id) on delete cascade,
            channel_id text not null,
            message_id text not null
        ) strict;

        create table choices (
            id integer primary key,
            persona_id text not null references personas (id) on delete cascade,
            at text not null,
            by text not null,
            chosen integer not null check (chosen in (0, 1)),
            reason text not null default '',
            features_json text not null
        ) strict;

        create index choices_by_persona on choices (persona_id);

        create table refusals (
            persona_id text not null references personas (id) on delete cascade,
            reason text not null,
            times integer not null,
            last_at text not null,
            primary key (persona_id, reason)
        ) strict;

        create table rerankers (
            id integer primary key check (id = 1),
            at text not null,
            report_json text not null
        ) strict;
    """)


def m016_allowances(db: Database) -> None:
    db.executescript("""
        create table allowances (
            persona_id text primary key references personas (id) on delete cascade,
            mentions integer not null check (mentions in (0, 1)),
            hashtags integer not null check (hashtags in (0, 1)),
            links integer not null check (links in (0, 1)),
            at text not null
        ) strict;
    """)


STEPS = (m013_known_texts, m014_approval, m016_allowances)
