"""`/budget` and `/x`: what X costs, and how this Mynah is let in."""

from __future__ import annotations

from bot.commands import Commands
from bot.errors import CommandError
from bot.gateways.families.family import Answer, Asker, Family
from bot.gateways.line import Line, refuse_words
from bot.x.budget import MICRO, Money
from bot.x.connection import Door

_FORMS = {"budget": "/budget", "x": "/x login [ADDRESS] | check"}
_KINDS = {
    "read": "posts read",
    "user": "accounts looked up",
    "post": "posts written",
    "post_with_link": "posts with a link written",
}


async def _do(commands: Commands, line: Line, ask: Asker) -> Answer:
    if line.name == "budget":
        refuse_words(line, 0)
        money = await commands.budget.money()
        return Answer(_money(money), (money,))
    match line.words:
        case ("login",):
            return await _login(commands, ask)
        case ("login", address):
            return Answer((f"@{await commands.x.finish_login(address)} is logged in.",))
        case ("check",):
            doors = await commands.x.doors()
            shut = [door.name for door in doors if door.problem]
            failed = f"This does not work: {', '.join(shut)}." if shut else ""
            return Answer(tuple(_door(door) for door in doors), tuple(doors), failed)
        case _:
            raise CommandError("/x logs an account in, or checks the keys.", f"The form is {_FORMS['x']}")


async def _login(commands: Commands, ask: Asker) -> Answer:
    request = await commands.x.begin_login()
    async with commands.x.awaiting_browser(request) as logged_in:
        await ask(f"Open {request.url}\nAllow the app there; X then sends the browser back here. Is that done?")
        if logged_in.done():
            return Answer((f"@{logged_in.result()} is logged in.",))
    return Answer(
        (
            f"Open {request.url}",
            f"Allow the app; X sends the browser to {request.back}. Where it cannot get there, give the address that",
            "it shows, within 30 seconds: mynah x login 'ADDRESS'",
        )
    )


def _money(money: Money) -> tuple[str, ...]:
    spent = (
        f"Today (UTC) ${money.day_spent:,.2f} of ${money.day_limit:,.2f}, this month ${money.month_spent:,.2f} of "
        f"${money.month_limit:,.2f}; ${money.left:,.2f} may be spent now."
    )
    return (
        spent,
        *(
            f"  {line.units:,} {_KINDS[line.kind]} ({line.purpose}), {line.requests:,} requests:"
            f" ${line.microdollars / MICRO:,.3f}"
            for line in money.lines
        ),
    )


def _door(door: Door) -> str:
    if not door.is_set and not door.problem:
        return f"{door.name}: not set"
    return f"{door.name}: {door.problem or (f'@{door.account}' if door.account else 'works; it is of no account')}"


FAMILY = Family(
    forms=_FORMS,
    help={"budget": "what X has cost, and what it may cost yet", "x": "log an account of X in, or check the keys"},
    do=_do,
    reads=frozenset({"budget"}),
)
