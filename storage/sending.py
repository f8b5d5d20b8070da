"""What becomes of a post while it is sent: claimed, sent, and each step written before the next is taken.

`claim` is the one door to a platform: in one transaction it looks at the switches, at the day's limit and at what has
the same text, and marks the row. A row that is found claimed by a process that is gone may have been published.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlite_utils import Database

from storage import consents, switches
from storage.errors import NoConsent
from storage.ids import utc_text, utc_time
from storage.outbox import OutboxPost, get, move, read

DAY = timedelta(days=1)
SAME_TEXT_WITHIN = timedelta(days=7)
LONGEST_LOOK_PAUSE = timedelta(minutes=16)
"""A look that is further away than this was set by a clock that has jumped since."""
LONGEST_RETRY_PAUSE = timedelta(hours=25)

_KIND = "(target = ? or target like ? || ':%')"
_NOT_HALTED = "not exists (select 1 from switches where name = 'halt:' || outbox.target)"


def next_due(db: Database, kind: str, now: datetime) -> OutboxPost | None:
    """What a kind of target may be sent now, longest due first.

    Nothing while posting is paused or the target halted, nor what has the text of a post whose fate is open: the
    two could not be told apart.
    """
    if switches.get(db, switches.PAUSE):
        return None
    found = read(
        db,
        f"""
        where state = 'due' and {_KIND} and due_at <= ? and {_NOT_HALTED}
            and (retry_at is null or retry_at <= ? or retry_at > ?)
            and not exists (
                select 1 from outbox as other where other.target = outbox.target and other.text = outbox.text
                    and other.state in ('claimed', 'uncertain', 'asked')
            )
        order by due_at, id limit 1
        """,
        kind, kind, utc_text(now), utc_text(now), utc_text(now + LONGEST_RETRY_PAUSE),
    )  # fmt: skip
    return found[0] if found else None


def claim(db: Database, id: str, now: datetime, a_day: int | None = None) -> OutboxPost | None:
    """Mark a post as being sent, with the newest of the account's posts that are known; None where it may not be.

    One that has the text of another of the last days, or comes after `a_day` others of its target within 24 hours, is
    skipped.
    """
    with db.atomic():
        post = get(db, id)
        halted = switches.get(db, switches.PAUSE) or switches.get(db, switches.halt(post.target))
        if post.state != "due" or halted:
            return None
        if reason := _why_not(db, post, now, a_day):
            move(db, id, "skipped", reason, now)
            return None
        db.execute(
            """
            update outbox set attempts = attempts + 1, claimed_at = ?, retry_at = null,
                since_id = coalesce(since_id, (select newest_id from own_timelines where target = outbox.target))
            where id = ?
            """,
            [utc_text(now), id],
        )
        return move(db, id, "claimed", f"attempt {post.attempts + 1}", now)


def sent(db: Database, id: str, platform_id: str | None, now: datetime, detail: str) -> OutboxPost:
    """The post is published; `platform_id` is None where only that is known."""
    with db.atomic():
        post = move(db, id, "sent", detail, now)
        db.execute(
            "update outbox set platform_id = ?, sent_at = coalesce(claimed_at, ?), look_at = null where id = ?",
            [platform_id, utc_text(now), id],
        )
        if platform_id is not None:
            know_newest(db, post.target, platform_id, now)
        return get(db, id)


def not_sent(db: Database, id: str, retry_at: datetime, reason: str, now: datetime) -> None:
    """Surely not published: due again, from a time on."""
    with db.atomic():
        move(db, id, "due", reason, now)
        db.execute("update outbox set retry_at = ? where id = ?", [utc_text(retry_at), id])


def postpone(db: Database, id: str, retry_at: datetime, reason: str) -> None:
    """It was not even tried, and is not before a time."""
    with db.atomic():
        db.execute(
            "update outbox set retry_at = ?, reason = ? where id = ? and state = 'due'",
            [utc_text(retry_at), reason, id],
        )


def unclear(
    db: Database, id: str, reason: str, look_at: datetime, now: datetime, *, is_duplicate: bool = False
) -> OutboxPost:
    """It may have been published: to be looked for. `is_duplicate`: the platform has its text already."""
    with db.atomic():
        move(db, id, "uncertain", reason, now)
        db.execute(
            "update outbox set looks = 0, look_at = ?, is_duplicate = ?, maybe_sent = max(maybe_sent, ?) where id = ?",
            [utc_text(look_at), is_duplicate, not is_duplicate, id],
        )
        return get(db, id)


def recover(db: Database, look_at: datetime, now: datetime) -> int:
    """At the start: what a process that is gone had claimed may have been published. How many there are."""
    with db.atomic():
        left = read(db, "where state = 'claimed'")
        for post in left:
            unclear(db, post.id, "The bot stopped while it was being sent.", look_at, now)
    return len(left)


def skip_late(db: Database, longest: timedelta, now: datetime) -> int:
    """Skip what has been due for too long, and drafts that expired; how many."""
    by = utc_text(now - longest)
    with db.atomic():
        late = read(db, "where state = 'due' and due_at < ? and ready_at < ?", by, by)
        pause = switches.get(db, switches.PAUSE)
        for post in late:
            halted = pause or switches.get(db, switches.halt(post.target))
            why = f"Posting was stopped: {halted.reason}" if halted else post.reason
            waited = f"It was due {utc_text(post.due_at)[:16]} UTC and could not be sent in time."
            move(db, post.id, "skipped", f"{waited} {why}".strip(), now)
        expired = read(db, "where state = 'draft' and expires_at < ?", utc_text(now))
        for post in expired:
            move(db, post.id, "skipped", "Nobody decided on the draft in time.", now)
    return len(late) + len(expired)


def due_look(db: Database, kind: str, now: datetime) -> OutboxPost | None:
    """A post that is to be looked for now; not on a target that is halted."""
    found = read(
        db,
        f"where state = 'uncertain' and {_KIND} and (look_at <= ? or look_at > ?) and {_NOT_HALTED}"
        " order by look_at, id limit 1",
        kind, kind, utc_text(now), utc_text(now + LONGEST_LOOK_PAUSE),
    )  # fmt: skip
    return found[0] if found else None


def look_again(db: Database, id: str, look_at: datetime, *, counted: bool) -> None:
    """It was not found, or (not `counted`) could not be looked for."""
    with db.atomic():
        db.execute(
            "update outbox set looks = looks + ?, look_at = ? where id = ? and state = 'uncertain'",
            [counted, utc_text(look_at), id],
        )


def taken(db: Database, target: str) -> frozenset[str]:
    """The platform's ids of posts that are known to be ours."""
    rows = db.execute("select platform_id from outbox where target = ? and platform_id is not null", [target])
    return frozenset(id for (id,) in rows.fetchall())


def newest_known(db: Database, target: str) -> str | None:
    """The newest post on a target's own timeline that is known; `0` where it is known to be empty."""
    row = db.execute("select newest_id from own_timelines where target = ?", [target]).fetchone()
    return None if row is None else str(row[0])


def know_newest(db: Database, target: str, id: str, now: datetime) -> None:
    """Later posts of the account are newer than this one. Ids are numbers that grow with time."""
    with db.atomic():
        known = newest_known(db, target)
        if known is None or int(id) > int(known):
            db.execute(
                "insert into own_timelines (target, newest_id, at) values (?, ?, ?)"
                " on conflict (target) do update set newest_id = excluded.newest_id, at = excluded.at",
                [target, id, utc_text(now)],
            )


def next_moment(db: Database, kind: str, now: datetime) -> datetime | None:
    """When, after now, something of a kind of target is to be done next, by what is written."""
    (at,) = db.execute(
        f"""
        select min(at) from (
            select max(due_at, coalesce(retry_at, due_at)) as at from outbox where state = 'due' and {_KIND}
            union all
            select look_at from outbox where state = 'uncertain' and {_KIND}
        )
        where at > ?
        """,
        [kind, kind, kind, kind, utc_text(now)],
    ).fetchone()
    return None if at is None else utc_time(at)


def _why_not(db: Database, post: OutboxPost, now: datetime, a_day: int | None) -> str:
    """Why a post is skipped; empty where nothing speaks against it."""
    try:
        consents.refuse_beyond(db, post.persona_id, "post")
    except NoConsent as refusal:
        return refusal.message
    same = db.execute(
        "select sent_at from outbox where target = ? and text = ? and state = 'sent' and sent_at > ? and id != ?",
        [post.target, post.text, utc_text(now - SAME_TEXT_WITHIN), post.id],
    ).fetchone()
    if same:
        return f"The same text was published {same[0][:16]} UTC."
    if a_day is not None:
        (others,) = db.execute(
            "select count(*) from outbox where target = ? and claimed_at > ? and id != ?"
            " and state in ('claimed', 'uncertain', 'asked', 'sent')",
            [post.target, utc_text(now - DAY), post.id],
        ).fetchone()
        if others >= a_day:
            return f"The limit of {a_day} posts in 24 hours was reached."
    return ""
