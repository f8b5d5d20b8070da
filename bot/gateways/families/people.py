"""`/forget`, `/optout`, `/privacy` and `/consents`: what is here of people, and how it goes away."""

from __future__ import annotations

from bot.bundled import bundled_handle
from bot.commands import Commands
from bot.errors import CommandError
from bot.gateways.families.family import Answer, Asker, Family, confirm
from bot.gateways.line import Line, refuse_words, the_handle
from bot.people.people import Forgotten
from bot.people.recorded import Recorded
from storage import personas

_FORMS = {
    "forget": "/forget @handle",
    "optout": "/optout @handle",
    "privacy": "/privacy",
    "consents": "/consents [withdraw @handle]",
}
_KIB = 1024


async def _do(commands: Commands, line: Line, ask: Asker) -> Answer:
    match line.name:
        case "forget":
            refuse_words(line, 0)
            return await _forget(commands, line, ask)
        case "optout":
            refuse_words(line, 0)
            return await _opt_out(commands, line, ask)
        case "privacy":
            refuse_words(line, 0)
            notice = await commands.people.privacy()
            return Answer(notice.lines, (notice,))
        case _:
            return await _consents(commands, line, ask)


async def _forget(commands: Commands, line: Line, ask: Asker) -> Answer:
    handle = await commands.people.known(the_handle(line))
    question = f"Delete @{handle} with its posts, clones, weights, schedules and outbox, for good?"
    await confirm(ask, line, question, f"Deleting @{handle}")
    forgotten = await commands.people.forget(handle)
    returns = f"The example comes back at the next start; /optout @{handle} keeps it away."
    return Answer((*told(forgotten), *([returns] if handle == bundled_handle() else [])), (forgotten,))


async def _opt_out(commands: Commands, line: Line, ask: Asker) -> Answer:
    handle = personas.normalise_handle(the_handle(line))  # who is not here may opt out too
    question = f"Delete all of @{handle}, and refuse every clone of them from now on, for good?"
    await confirm(ask, line, question, f"Opting @{handle} out")
    forgotten = await commands.people.optout(handle)
    return Answer((*told(forgotten), "They are never cloned here again. Only a salted hash of the handle is kept."))


async def _consents(commands: Commands, line: Line, ask: Asker) -> Answer:
    if line.words[:1] == ("withdraw",):
        refuse_words(line, 1)
        handle = await commands.people.known(the_handle(line))
        question = f"Stop using @{handle}? Nothing is deleted; /forget does that."
        await confirm(ask, line, question, f"Taking back the consent to @{handle}")
        await commands.people.withdraw(handle)
        return Answer((f"@{handle} is not trained, heard, posted or shared any more.",))
    if line.words or line.handle:
        raise CommandError("/consents lists them, or takes one back.", f"The form is {_FORMS['consents']}")
    recorded = await commands.people.consents()
    lines = tuple(_line(each) for each in recorded)
    return Answer(lines or ("Nobody is here.",), tuple(recorded))


def told(forgotten: Forgotten) -> tuple[str, ...]:
    """What was deleted, in words."""
    if not forgotten.handles:
        return ("There was nothing of theirs to delete.",)
    names = ", ".join(f"@{handle}" for handle in forgotten.handles)
    counted = (
        (forgotten.posts, "post", "posts"),
        (forgotten.versions, "clone with its weights", "clones with their weights"),
        (forgotten.samples, "sample", "samples"),
        (forgotten.schedules, "schedule", "schedules"),
        (forgotten.outbox, "post in the outbox", "posts in the outbox"),
        (forgotten.consents, "consent", "consents"),
    )
    what = ", ".join(f"{count:,} {one if count == 1 else several}" for count, one, several in counted if count)
    size = f" Files: {forgotten.file_bytes / _KIB:,.0f} KiB." if forgotten.file_bytes else ""
    return (
        f"Deleted: {names}{': ' if what else ''}{what}.{size}",
        *(f"Still there, for its owner to delete: {url}" for url in forgotten.elsewhere),
    )


def _line(each: Recorded) -> str:
    if each.at is None and each.blend_of:
        people = ", ".join(f"@{handle}" for handle in each.blend_of)
        return f"@{each.handle}: a blend of {people}; what each agreed to holds"
    if each.at is None:
        return f"@{each.handle}: no consent is recorded"
    withdrawn = f" Withdrawn on {each.withdrawn_at:%Y-%m-%d}." if each.withdrawn_at else ""
    return f"@{each.handle}  {each.at:%Y-%m-%d}  for {', '.join(each.scope)}: {each.words}{withdrawn}"


FAMILY = Family(
    forms=_FORMS,
    help={
        "forget": "delete a person with all that came from them",
        "optout": "delete a person, and never clone them again",
        "privacy": "what is kept of people, why, and how to have it deleted",
        "consents": "on what ground each voice is here; take consent back",
    },
    do=_do,
    reads=frozenset({"privacy"}),
)
