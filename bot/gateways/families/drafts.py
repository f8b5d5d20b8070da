"""`/drafts`, `/persona` and `/reranker`: a person says what may leave, looks first, and is learned from."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime

from bot.commands import Commands
from bot.drafts import Moded
from bot.errors import CommandError
from bot.gateways.families.family import Answer, Asker, Family, confirm
from bot.gateways.line import Line, refuse_words, the_handle
from bot.guard.guard import Allowed
from bot.guard.reranker import Shown
from bot.posting.outbox import Entry
from storage.allowances import Allowance
from storage.drafts import Mode
from trainer.report import RerankReport

_DRAFTS = '/drafts [@handle] | approve ID | approve all [@handle] | edit ID "TEXT" | reroll ID | reject ID ["reason"]'
_PERSONA = (
    "/persona mode @handle [auto | review | review-first-N]"
    " | allow @handle [mentions hashtags links | nothing | default]"
)
_RERANKER = "/reranker show | learn"
_MODE = re.compile(r"auto|review|review-first-(\d{1,5}|n)")
_BY = "console"


@dataclass(frozen=True, slots=True)
class Row:
    """A draft, for `--json`."""

    id: str
    handle: str
    target: str
    state: str
    due_at: datetime
    expires_at: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class RerankerRow:
    """What was learned, for `--json`."""

    choices: int
    approved: int
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    chance: float | None
    used: bool


async def _do(commands: Commands, line: Line, ask: Asker) -> Answer:
    match line.name:
        case "persona":
            return await _persona(commands, line)
        case "reranker":
            return await _reranker(commands, line)
        case _:
            return await _drafts(commands, line, ask)


async def _drafts(commands: Commands, line: Line, ask: Asker) -> Answer:
    drafts = commands.drafts
    match line.words:
        case () | ("list",):
            return _answer(await drafts.waiting(line.handle), commands, "No drafts are waiting.")
        case ("approve", "all"):
            waiting = await drafts.waiting(line.handle)
            if waiting:
                count = f"{len(waiting)} drafts" if len(waiting) > 1 else "1 draft"
                await confirm(ask, line, f"Approve {count}?", f"Approving {count}")
            return _answer(await drafts.approve_all(_BY, line.handle), commands, "No drafts are waiting.")
        case ("approve", id):
            entry = await drafts.approve(id, _BY)
        case ("edit", id, *text) if text:
            if line.handle is not None:
                raise CommandError("The text names somebody outside of its quotes.", f"The form is {_DRAFTS}")
            entry = await drafts.edit(id, " ".join(text), _BY)
        case ("reroll", id):
            entry = await drafts.reroll(id, _BY)
        case ("reject", id, *reason):
            entry = await drafts.reject(id, " ".join(reason), _BY)
        case _:
            raise CommandError(f"/drafts cannot {line.words[0]!r} so.", f"The form is {_DRAFTS}")
    return _answer([entry], commands, "")


async def _persona(commands: Commands, line: Line) -> Answer:
    match line.words:
        case ("mode", *_):
            return await _approval(commands, line)
        case ("allow",):
            return allowed_answer(await commands.guard.allowed(the_handle(line)))
        case ("allow", *wanted):
            return allowed_answer(await commands.guard.allow(the_handle(line), allowance_of(wanted)))
        case _:
            raise CommandError("/persona says what a persona's posts may be.", f"The form is {_PERSONA}")


async def _approval(commands: Commands, line: Line) -> Answer:
    handle = the_handle(line)
    refuse_words(line, 2)
    if len(line.words) == 1:
        return _moded(await commands.drafts.mode(handle))
    asked = _MODE.fullmatch(line.words[1])
    if asked is None:
        raise CommandError(f"There is no mode {line.words[1]!r}.", f"The form is {_PERSONA}")
    first = asked[1]
    mode: Mode = "review-first-n" if first else "review" if asked[0] == "review" else "auto"
    return _moded(await commands.drafts.set_mode(handle, mode, int(first) if first and first.isdigit() else 0))


def allowance_of(wanted: list[str]) -> Allowance | None:
    """What posts may hold, as a person lists it; None is as the settings say. Raises CommandError."""
    names = {name for word in wanted for name in word.split(",") if name}
    if names == {"default"}:
        return None
    if not names <= {"mentions", "hashtags", "links"} and names != {"nothing"}:
        raise CommandError(f"{' '.join(wanted)!r} cannot be allowed.", f"The form is {_PERSONA}")
    return Allowance("mentions" in names, "hashtags" in names, "links" in names)


async def _reranker(commands: Commands, line: Line) -> Answer:
    refuse_words(line, 1)
    match line.words:
        case () | ("show",):
            shown = await commands.drafts.reranker()
            return Answer(_shown(shown), (_reranker_row(shown),))
        case ("learn",):
            return Answer(_report(await commands.drafts.learn_reranker()))
        case _:
            raise CommandError(f"/reranker cannot {line.words[0]!r}.", f"The form is {_RERANKER}")


def _answer(entries: list[Entry], commands: Commands, nothing: str) -> Answer:
    lines = tuple(_line(entry, commands) for entry in entries)
    return Answer(lines or (nothing,), tuple(_row(entry) for entry in entries))


def _line(entry: Entry, commands: Commands) -> str:
    post = entry.post
    due = post.due_at.astimezone(commands.outbox.zone)
    return f"{post.short_id}  {due:%Y-%m-%d %H:%M}  {entry.where}  @{entry.handle}  {post.state}: {post.text}"


def _row(entry: Entry) -> Row:
    post = entry.post
    return Row(post.id, entry.handle, post.target, post.state, post.due_at, post.expires_at, post.text)


def _reranker_row(shown: Shown) -> RerankerRow:
    if shown.report is None:
        return RerankerRow(shown.choices, shown.approved, None, None, None, None, False)
    found, report = shown.report.accuracy, shown.report
    return RerankerRow(shown.choices, shown.approved, found.value, found.low, found.high, report.chance, report.used)


def _moded(found: Moded) -> Answer:
    approval = found.approval
    said = {
        "auto": "posts leave by themselves, if the guard lets them",
        "review": "a person approves every post",
        "review-first-n": f"a person approves the first {approval.first} posts; {found.approved} are approved",
    }
    given_up = f" Drafts are given up after {approval.expires_after_h:g} hours." if approval.mode != "auto" else ""
    return Answer((f"@{found.handle}: {said[approval.mode]}.{given_up}",), (found,))


def allowed_answer(found: Allowed) -> Answer:
    """What a persona's posts may hold, in words."""
    names = [name for name, is_allowed in asdict(found.allowance).items() if is_allowed]
    by = "" if found.is_own else ", as guard.mentions, guard.hashtags and guard.links say"
    return Answer(
        (f"@{found.handle}: posts may have {', '.join(names) or 'no mentions, hashtags or links'}{by}.",), (found,)
    )


def _shown(shown: Shown) -> tuple[str, ...]:
    made = f"{shown.choices} choices, {shown.approved} of them approvals."
    return (made, *(_report(shown.report) if shown.report else ("Nothing was learned from them yet.",)))


def _report(report: RerankReport) -> tuple[str, ...]:
    accuracy = report.accuracy
    verdict = "It orders what is written." if report.used else "That is no better than chance, so it is not used."
    weights = sorted(zip(report.names, report.weights, strict=True), key=lambda one: -abs(one[1]))
    return (
        f"The reranker foresaw {accuracy.value:.0%} of {report.choices} choices that it had not seen"
        f" (95 % interval {accuracy.low:.0%} to {accuracy.high:.0%}; chance is {report.chance:.0%}). {verdict}",
        "It goes by: " + ", ".join(f"{name} {weight:+.2f}" for name, weight in weights),
    )


FAMILY = Family(
    forms={"drafts": _DRAFTS, "persona": _PERSONA, "reranker": _RERANKER},
    help={
        "drafts": "list the drafts, approve, edit, reroll or reject them",
        "persona": "say which posts of a persona somebody has to approve, and what they may hold",
        "reranker": "show what was learned from approvals",
    },
    do=_do,
    reads=frozenset({"drafts", "persona", "reranker"}),
)
