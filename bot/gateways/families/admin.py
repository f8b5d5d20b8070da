"""`/admin`: stop and resume posting, and see where the bot stands."""

from __future__ import annotations

from dataclasses import dataclass

from bot.admin import Stats
from bot.commands import Commands
from bot.errors import CommandError
from bot.gateways.families.family import Answer, Asker, Family
from bot.gateways.line import Line, refuse_words

_FORM = '/admin pause ["reason"] | resume | stats | notices'


@dataclass(frozen=True, slots=True)
class Stop:
    """What stops posting, for `--json`."""

    name: str
    reason: str


async def _do(commands: Commands, line: Line, ask: Asker) -> Answer:
    verb = (line.words or ("stats",))[0]
    if verb == "pause":
        paused = await commands.admin.pause("console", " ".join(line.words[1:]))
        return Answer(("Posting is paused. /admin resume goes on." if paused else "Posting is paused already.",))
    refuse_words(line, 1)
    match verb:
        case "resume":
            stopped = await commands.admin.resume()
            lines = tuple(f"No longer stopped: {_stop(switch.name, switch.reason)}" for switch in stopped)
            return Answer(lines or ("Nothing was stopped.",), tuple(Stop(each.name, each.reason) for each in stopped))
        case "stats":
            stats = await commands.admin.stats()
            return Answer(_stats(stats), (stats,))
        case "notices":
            notices = await commands.admin.notices()
            lines = tuple(f"{notice.at:%Y-%m-%d %H:%M} UTC  {notice.message} {notice.hint}" for notice in notices)
            return Answer(lines or ("There is nothing to tell.",), tuple(notices))
        case _:
            raise CommandError(f"/admin cannot {verb!r}.", f"The form is {_FORM}")


def _stats(stats: Stats) -> tuple[str, ...]:
    posts = ", ".join(f"{count:,} {state}" for state, count in stats.posts.items()) or "none"
    sent = ", ".join(f"{count:,} to {target}" for target, count in stats.sent_today.items()) or "none"
    return (
        f"Personas: {stats.personas:,}; clones: {stats.clones:,}, {stats.in_line:,} of them being made or in line",
        f"Posts in the outbox: {posts}",
        f"Published in the last 24 hours: {sent}",
        *(f"Stopped: {_stop(switch.name, switch.reason)}" for switch in stats.stops),
        *(f"To be seen: {notice.message} {notice.hint}" for notice in stats.notices),
    )


def _stop(name: str, reason: str) -> str:
    return f"all posting ({reason})" if name == "pause" else f"posting to {name.removeprefix('halt:')} ({reason})"


FAMILY = Family(
    forms={"admin": _FORM},
    help={"admin": "pause and resume posting; see where the bot stands and what it has to tell"},
    do=_do,
)
