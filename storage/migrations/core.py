"""What every part of Mynah stands on: personas and posts, clones, what they learned, their weights and quality."""

from __future__ import annotations

from sqlite_utils import Database


def m001_personas_and_posts(db: Database) -> None:
    db.executescript("""
        create table personas (
            id text primary key,
            handle text not null unique,
            display_name text not null,
            source text not null,
            bundled integer not null check (bundled in (0, 1)),
            created_at text not null
        ) strict;

        create table posts (
            persona_id text not null references personas (id) on delete cascade,
            source text not null,
            source_id text not null,
            author text not null,
            created_at text,
            text text not null,
            kind text not null check (kind in ('post', 'reply', 'quote', 'repost')),
            in_reply_to text,
            imported_at text not null,
            primary key (persona_id, source_id, source)
        ) strict;

        create index posts_by_time on posts (persona_id, created_at);
    """)


def m002_clones(db: Database) -> None:
    db.executescript("""
        create table clones (
            id text primary key,
            persona_id text not null references personas (id) on delete cascade,
            version integer not null check (version >= 1),
            recipe text not null,
            recipe_json text not null,
            base text not null,
            base_hash text,
            seed integer not null,
            requested_by text not null,
            source_path text,
            state text not null
                check (state in ('queued', 'collecting', 'training', 'ready', 'failed', 'cancelled')),
            state_since text not null,
            attempts integer not null default 0,
            downloaded integer,
            reposts integer,
            short integer,
            kept integer,
            duplicates integer,
            quoted integer,
            characters integer,
            train_posts integer,
            heldout_posts integer,
            warning text not null default '',
            bits_per_byte_before real,
            bits_per_byte_after real,
            loss real,
            error_kind text,
            error_message text,
            error_hint text,
            created_at text not null,
            started_at text,
            finished_at text,
            unique (persona_id, version)
        ) strict;

        create unique index one_active_clone_per_persona on clones (persona_id)
            where state in ('queued', 'collecting', 'training');

        create table clone_history (
            id integer primary key,
            clone_id text not null references clones (id) on delete cascade,
            at text not null,
            from_state text,
            to_state text not null,
            detail text not null
        ) strict;

        create index clone_history_by_clone on clone_history (clone_id);

        alter table personas add column current_clone_id text references clones (id) on delete set null;
        create index personas_by_current_clone on personas (current_clone_id);
    """)


def m003_corpus_and_samples(db: Database) -> None:
    db.executescript("""
        create table clone_posts (
            clone_id text not null references clones (id) on delete cascade,
            position integer not null,
            post_source_id text not null,
            split text not null check (split in ('train', 'heldout')),
            text text not null,
            primary key (clone_id, position)
        ) strict;

        create table samples (
            id integer primary key,
            clone_id text not null references clones (id) on delete cascade,
            at text not null,
            step integer not null,
            prompt text not null,
            text text not null
        ) strict;

        create index samples_by_clone on samples (clone_id);
    """)


def m004_weights(db: Database) -> None:
    # The bytes are the last column, so that a listing of sizes does not walk through them.
    db.executescript("""
        create table tensors (
            hash text primary key check (hash like 'b2:%'),
            dtype text not null,
            shape text not null,
            size_bytes integer not null,
            data blob not null
        ) strict;

        create table models (
            clone_id text primary key references clones (id) on delete cascade,
            method text not null check (method in ('lora', 'full')),
            base text not null,
            base_hash text not null,
            created_at text not null
        ) strict;

        create table model_tensors (
            clone_id text not null references models (clone_id) on delete cascade,
            name text not null,
            tensor_hash text not null references tensors (hash),
            primary key (clone_id, name)
        ) strict;

        create index model_tensors_by_tensor on model_tensors (tensor_hash);

        create table model_files (
            clone_id text not null references models (clone_id) on delete cascade,
            name text not null,
            hash text not null,
            content blob not null,
            primary key (clone_id, name)
        ) strict;
    """)


def m005_views(db: Database) -> None:
    db.executescript("""
        create view clones_overview as
        select
            personas.handle, clones.version, clones.state, clones.id = personas.current_clone_id is true as is_current,
            personas.bundled, clones.recipe, clones.base,
            clones.downloaded as posts_downloaded, clones.reposts as posts_reposts, clones.short as posts_short,
            clones.kept as posts_kept, clones.duplicates as posts_duplicate,
            clones.quoted as posts_quoting_others, clones.characters,
            clones.train_posts as posts_trained_on, clones.heldout_posts as posts_held_out, clones.warning,
            clones.bits_per_byte_before, clones.bits_per_byte_after,
            (
                select sum(tensors.size_bytes)
                from model_tensors join tensors on tensors.hash = model_tensors.tensor_hash
                where model_tensors.clone_id = clones.id
            ) as model_size_bytes,
            clones.error_message, clones.error_hint,
            clones.created_at, clones.started_at, clones.finished_at, clones.requested_by, clones.id as clone_id
        from clones join personas on personas.id = clones.persona_id
        order by personas.handle, clones.version;

        create view posts_kept as
        select
            personas.handle, posts.created_at, posts.kind, clone_posts.split,
            clone_posts.text as cleaned_text, posts.text as original_text,
            posts.source, clone_posts.post_source_id as source_id
        from personas
        join clone_posts on clone_posts.clone_id = personas.current_clone_id
        left join posts on posts.rowid = (
            select rowid from posts where persona_id = personas.id and source_id = clone_posts.post_source_id limit 1
        )
        order by personas.handle, clone_posts.position;

        create view clone_timeline as
        select
            personas.handle, clones.version, clone_history.at, clone_history.from_state, clone_history.to_state,
            clone_history.detail
        from clone_history
        join clones on clones.id = clone_history.clone_id
        join personas on personas.id = clones.persona_id
        order by clone_history.id;
    """)


def m006_versions_quality_and_blends(db: Database) -> None:
    db.executescript("""
        alter table clones add column goes_on_from text references clones (id) on delete set null;
        alter table clones add column device text;
        alter table clones add column verdict text not null default '';
        alter table clones add column drift_json text;
        create index clones_by_what_they_go_on_from on clones (goes_on_from);

        create table evaluations (
            id integer primary key,
            clone_id text not null references clones (id) on delete cascade,
            at text not null,
            heldout_posts integer not null,
            bits_per_byte_base real,
            bits_per_byte real,
            samples integer,
            copy_rate real,
            style_distance real,
            who_said_it real,
            report_json text not null
        ) strict;

        create index evaluations_by_clone on evaluations (clone_id);

        create table blend_parts (
            persona_id text not null references personas (id) on delete cascade,
            part_id text not null references personas (id) on delete cascade,
            share real not null check (share > 0 and share < 1),
            primary key (persona_id, part_id)
        ) strict;

        create index blend_parts_by_part on blend_parts (part_id);

        create table clone_people (
            clone_id text not null references clones (id) on delete cascade,
            handle text not null,
            downloaded integer not null,
            reposts integer not null,
            short integer not null,
            kept integer not null,
            characters integer not null,
            share real not null,
            primary key (clone_id, handle)
        ) strict;

        create table tracked_runs (
            clone_id text not null references clones (id) on delete cascade,
            job_type text not null check (job_type in ('preprocess', 'train')),
            run_id text not null,
            url text not null,
            primary key (clone_id, job_type)
        ) strict;
    """)


def m007_who_spoke(db: Database) -> None:
    db.executescript("""
        alter table clones add column spoke_at text;
        update clones set spoke_at = finished_at where state = 'ready' and verdict not like '%goes on speaking.';
    """)


STEPS = (
    m001_personas_and_posts,
    m002_clones,
    m003_corpus_and_samples,
    m004_weights,
    m005_views,
    m006_versions_quality_and_blends,
    m007_who_spoke,
)
