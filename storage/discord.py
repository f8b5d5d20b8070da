"""What Mynah knows of its messages, webhooks and channels on Discord; ids alone, never what anybody wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlite_utils import Database

from storage.ids import utc_now, utc_text, utc_time

SPOKEN_KEPT = timedelta(days=30)
"""How long a message is known as a persona's, so that replies to it reach that persona."""


@dataclass(frozen=True, slots=True)
class ProgressMessage:
    """Where a clone's life is told."""

    clone_id: str
    channel_id: int
    message_id: int | None
    """None until Discord has said that the message is there."""
    told: bool
    """Its last word has been said."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookKey:
    """A webhook of ours, and how it looks: a hash of the name and the picture that it was given."""

    channel_id: int
    persona_id: str
    webhook_id: int
    token: str
    look: str


@dataclass(frozen=True, slots=True)
class Binding:
    """The persona that lives in a channel, and when it speaks without being asked."""

    channel_id: int
    guild_id: int
    persona_id: str
    chime_chance: float
    """Of answering a message that is not for it; 0 is never."""
    quiet_from: str | None
    """HH:MM in the configured zone; None where no hours are quiet."""
    quiet_until: str | None


# --- a clone's message


def begin_progress(db: Database, clone_id: str, channel_id: int) -> None:
    """Remember that a clone is told about in a channel, before its message is sent; a second time changes nothing."""
    db.execute(
        "insert or ignore into discord_progress (clone_id, channel_id, created_at) values (?, ?, ?)",
        [clone_id, str(channel_id), utc_now()],
    )


def progress_sent(db: Database, clone_id: str, message_id: int) -> None:
    """The message is there."""
    db.execute("update discord_progress set message_id = ? where clone_id = ?", [str(message_id), clone_id])


def progress_told(db: Database, clone_id: str) -> None:
    """The message says how it ended."""
    db.execute("update discord_progress set told = 1 where clone_id = ?", [clone_id])


def forget_progress(db: Database, clone_id: str) -> None:
    """The message is gone, or nothing of the clone is to be seen in it any more."""
    db.execute("delete from discord_progress where clone_id = ?", [clone_id])


def progress(db: Database, clone_id: str) -> ProgressMessage | None:
    """A clone's message."""
    return next(_progress(db, "where clone_id = ?", clone_id), None)


def untold_progress(db: Database) -> list[ProgressMessage]:
    """The messages that have more to say, oldest first."""
    return list(_progress(db, "where told = 0 order by created_at"))


def orphaned_progress(db: Database) -> list[ProgressMessage]:
    """The messages of clones that were deleted."""
    return list(_progress(db, "where clone_id not in (select id from clones)"))


def _progress(db: Database, rest: str, *values: str) -> Iterator[ProgressMessage]:
    for row in db.query(f"select * from discord_progress {rest}", values):
        yield ProgressMessage(
            row["clone_id"],
            int(row["channel_id"]),
            int(row["message_id"]) if row["message_id"] else None,
            bool(row["told"]),
            utc_time(row["created_at"]),
        )


# --- webhooks


def webhook(db: Database, channel_id: int, persona_id: str) -> WebhookKey | None:
    """The webhook by which a persona speaks in a channel."""
    return next(_webhooks(db, "where channel_id = ? and persona_id = ?", str(channel_id), persona_id), None)


def webhook_by_id(db: Database, webhook_id: int) -> WebhookKey | None:
    """A webhook of ours."""
    return next(_webhooks(db, "where webhook_id = ?", str(webhook_id)), None)


def keep_webhook(db: Database, key: WebhookKey) -> None:
    """In place of the one that the persona had there."""
    db.execute(
        "insert or replace into discord_webhooks (channel_id, persona_id, webhook_id, token, look, used_at)"
        " values (?, ?, ?, ?, ?, ?)",
        [str(key.channel_id), key.persona_id, str(key.webhook_id), key.token, key.look, utc_now()],
    )


def webhook_used(db: Database, webhook_id: int) -> None:
    """Now."""
    db.execute("update discord_webhooks set used_at = ? where webhook_id = ?", [utc_now(), str(webhook_id)])


def forget_webhook(db: Database, webhook_id: int) -> None:
    """It is gone."""
    db.execute("delete from discord_webhooks where webhook_id = ?", [str(webhook_id)])


def idlest_webhook(db: Database, channel_id: int) -> WebhookKey | None:
    """The one in a channel that was silent for longest."""
    return next(_webhooks(db, "where channel_id = ? order by used_at limit 1", str(channel_id)), None)


def orphaned_webhooks(db: Database) -> list[WebhookKey]:
    """Those of personas that were deleted."""
    return list(_webhooks(db, "where persona_id not in (select id from personas)"))


def _webhooks(db: Database, rest: str, *values: str) -> Iterator[WebhookKey]:
    for row in db.query(f"select * from discord_webhooks {rest}", values):
        yield WebhookKey(int(row["channel_id"]), row["persona_id"], int(row["webhook_id"]), row["token"], row["look"])


# --- who said what


def spoken(db: Database, message_id: int, persona_id: str, now: datetime) -> None:
    """A message is a persona's; those that are too old to be replied to are forgotten."""
    with db.atomic():
        db.execute("delete from discord_spoken where at < ?", [utc_text(now - SPOKEN_KEPT)])
        db.execute(
            "insert or ignore into discord_spoken (message_id, persona_id, at) values (?, ?, ?)",
            [str(message_id), persona_id, utc_text(now)],
        )


def speaker_of(db: Database, message_id: int) -> str | None:
    """The id of the persona that said a message."""
    row = db.execute("select persona_id from discord_spoken where message_id = ?", [str(message_id)]).fetchone()
    return row[0] if row else None


# --- channels


def bind(db: Database, channel_id: int, guild_id: int, persona_id: str) -> Binding:
    """A persona lives in a channel, in place of another; whether it chimes in is asked for anew."""
    db.execute(
        "insert or replace into discord_bindings (channel_id, guild_id, persona_id, bound_at) values (?, ?, ?, ?)",
        [str(channel_id), str(guild_id), persona_id, utc_now()],
    )
    return Binding(channel_id, guild_id, persona_id, 0.0, None, None)


def unbind(db: Database, channel_id: int) -> bool:
    """False where nobody lived there."""
    return bool(db.execute("delete from discord_bindings where channel_id = ?", [str(channel_id)]).rowcount)


def set_chime(db: Database, channel_id: int, chance: float, quiet_from: str | None, quiet_until: str | None) -> None:
    """How often the persona of a channel speaks unasked, and when never."""
    db.execute(
        "update discord_bindings set chime_chance = ?, quiet_from = ?, quiet_until = ? where channel_id = ?",
        [chance, quiet_from, quiet_until, str(channel_id)],
    )


def binding(db: Database, channel_id: int) -> Binding | None:
    """Who lives in a channel."""
    return next(_bindings(db, "where channel_id = ?", str(channel_id)), None)


def forget_channel(db: Database, channel_id: int) -> None:
    """It is gone, with all that we had there."""
    with db.atomic():
        for table in ("discord_bindings", "discord_webhooks", "discord_progress"):
            db.execute(f"delete from {table} where channel_id = ?", [str(channel_id)])


def forget_guild(db: Database, guild_id: int) -> None:
    """The bot was thrown out."""
    db.execute("delete from discord_bindings where guild_id = ?", [str(guild_id)])


def _bindings(db: Database, rest: str, *values: str) -> Iterator[Binding]:
    for row in db.query(f"select * from discord_bindings {rest}", values):
        yield Binding(
            int(row["channel_id"]),
            int(row["guild_id"]),
            row["persona_id"],
            row["chime_chance"],
            row["quiet_from"],
            row["quiet_until"],
        )


# --- what a persona does not say


def set_blocked_words(db: Database, persona_id: str, words: Iterable[str]) -> tuple[str, ...]:
    """In place of those before; none lifts the limit."""
    kept = tuple(sorted({word.casefold().strip() for word in words} - {""}))
    with db.atomic():
        db.execute("delete from persona_limits where persona_id = ?", [persona_id])
        if kept:
            db.execute(
                "insert into persona_limits (persona_id, blocked_words_json) values (?, ?)",
                [persona_id, json.dumps(kept, ensure_ascii=False)],
            )
    return kept


def blocked_words(db: Database, persona_id: str) -> tuple[str, ...]:
    """What a persona must not say on Discord, case-folded."""
    row = db.execute("select blocked_words_json from persona_limits where persona_id = ?", [persona_id]).fetchone()
    return tuple(json.loads(row[0])) if row else ()
