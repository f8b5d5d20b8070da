"""What a family of commands is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.errors import CommandError
from bot.gateways.line import Line

if TYPE_CHECKING:
    from bot.commands import Commands


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answers: lines for a person, and the same as rows for `--json`."""

    lines: tuple[str, ...]
    rows: tuple[Any, ...] = ()
    """Dataclasses."""
    failed: str = ""
    """What did not go well, for standard error: the exit status is 1 then."""


Asker = Callable[[str], Awaitable[bool]]
"""Puts a question to whoever gave the command; False also where nobody can answer."""


async def confirm(ask: Asker, line: Line, question: str, what: str) -> None:
    """Goes on where whoever gave the command says yes. Raises CommandError where they do not, or nobody can."""
    if not await ask(question):
        raise CommandError(
            f"{what} was not confirmed: nothing was changed.",
            f"Answer yes, or give --yes where nobody can be asked: mynah {line.name} … --yes",
        )


@dataclass(frozen=True, slots=True)
class Family:
    """Commands that belong together."""

    forms: Mapping[str, str]
    """Name → how it is written, such as `/forget @handle`."""
    help: Mapping[str, str]
    """Name → what `mynah --help` and `/help` say of it."""
    do: Callable[[Commands, Line, Asker], Awaitable[Answer]]
    """Obey one command. Raises MynahError."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name → its options, `key=value`."""
    reads: frozenset[str] = frozenset()
    """Those that change nothing, and so may run beside a bot that holds the data folder: `budget`, `schedule list`."""
