"""Families of commands: one file each tells how its commands are written, and answers them from `bot.commands`.

The console, a pipe and `mynah NAME …` all take a family's commands from here; a new one is a file and its line in
`FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.gateways.families import admin, drafts, outbox, people, schedules, x
from bot.gateways.families.family import Answer, Asker, Family

__all__ = ["FAMILIES", "Answer", "Asker", "Family", "about", "forms", "keys", "of"]

FAMILIES: tuple[Family, ...] = (outbox.FAMILY, admin.FAMILY, drafts.FAMILY, people.FAMILY, schedules.FAMILY, x.FAMILY)


def forms() -> Mapping[str, str]:
    """How each command is written."""
    return {name: form for family in FAMILIES for name, form in family.forms.items()}


def about() -> Mapping[str, str]:
    """What each command does."""
    return {name: help for family in FAMILIES for name, help in family.help.items()}


def keys() -> Mapping[str, tuple[str, ...]]:
    """The options of each command, `key=value`."""
    return {name: options for family in FAMILIES for name, options in family.keys.items()}


def of(name: str) -> Family | None:
    """The family that a command belongs to."""
    return next((family for family in FAMILIES if name in family.forms), None)
