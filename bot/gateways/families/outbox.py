"""`/outbox`: what is on its way, and a person's word on what nobody else can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.commands import Commands
from bot.errors import CommandError
from bot.gateways.families.family import Answer, Asker, Family, confirm
from bot.gateways.line import Line, refuse_words
from bot.posting.outbox import Entry
from storage.outbox import OPEN, Move, State

_FORM = "/outbox [all | check | show ID | sent ID | resend ID | drop ID | look ID]"
_ENDED: tuple[State, ...] = ("sent", "skipped", "rejected", "failed")
_QUESTIONS = {
    "resend": "Have you looked on the account, and it is not there? It is sent once more then.",
    "drop": "Leave it unsent for good?",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A post in the outbox, for `--json`."""

    id: str
    handle: str
    target: str
    state: str
    due_at: datetime
    sent_at: datetime | None
    platform_id: str | None
    attempts: int
    reason: str
    text: str


async def _do(commands: Commands, line: Line, ask: Asker) -> Answer:
    verb, zone = (line.words or ("list",))[0], commands.outbox.zone
    refuse_words(line, 1 if verb in ("list", "all", "check") else 2)
    if verb == "check":
        return await _check(commands, ask)
    if verb in ("list", "all"):
        entries = await commands.outbox.posts((*OPEN, *_ENDED) if verb == "all" else OPEN[1:])
        if not entries:
            return Answer(("The outbox is empty." if verb == "all" else "Nothing waits in the outbox.",))
        return Answer(tuple(_line(entry, zone) for entry in entries), tuple(_row(entry) for entry in entries))
    if verb not in ("show", "sent", "resend", "drop", "look") or len(line.words) != 2:
        raise CommandError(f"/outbox cannot {verb!r}.", f"The form is {_FORM}")
    id = line.words[1]
    if verb == "show":
        entry, moves = await commands.outbox.show(id)
        return Answer((_line(entry, zone), *(_move(move, zone) for move in moves)), (_row(entry),))
    if verb in _QUESTIONS:
        entry, _ = await commands.outbox.show(id)
        await confirm(ask, line, _QUESTIONS[verb], f"That (/outbox {verb} {entry.post.short_id})")
    match verb:
        case "sent":
            entry = await commands.outbox.answer(id, "sent", "console")
        case "resend":
            entry = await commands.outbox.answer(id, "resend", "console")
        case "drop":
            entry = await commands.outbox.answer(id, "drop", "console")
        case _:
            entry = await commands.outbox.answer(id, "look", "console")
    return Answer((_line(entry, zone),), (_row(entry),))


async def _check(commands: Commands, ask: Asker) -> Answer:
    profile, is_right = await commands.x_account.check(ask, "console")
    lines = [f"@{profile.handle} on X: {profile.bio or 'no bio'}", *profile.lacks]
    if is_right:
        return Answer((*lines, "Posting to it may begin."))
    return Answer(
        (*lines, "Nothing is posted until its label and its bio are right: put them right at X, then check again.")
    )


def _line(entry: Entry, zone: ZoneInfo) -> str:
    post = entry.post
    why = f" ({post.reason})" if post.reason and post.state not in ("sent", "claimed") else ""
    about = f"{post.short_id}  {_time(post.due_at, zone)}  {entry.where}  @{entry.handle}  {post.state}{why}"
    return f"{about}: {post.text}"


def _move(move: Move, zone: ZoneInfo) -> str:
    return f"  {_time(move.at, zone)}  {move.to_state}: {move.detail}"


def _time(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def _row(entry: Entry) -> Row:
    post = entry.post
    return Row(
        post.id, entry.handle, post.target, post.state, post.due_at, post.sent_at, post.platform_id, post.attempts,
        post.reason, post.text,
    )  # fmt: skip


FAMILY = Family(
    forms={"outbox": _FORM},
    help={"outbox": "list what is to be published, and say what became of a post that nobody could find"},
    do=_do,
    reads=frozenset({"outbox"}),
)
