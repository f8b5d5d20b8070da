"""Every slash command and its options are described: by Discord while somebody types, and in docs/discord.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from discord import app_commands

from bot.gateways.discord.cogs import COGS

DOCS = Path(__file__).parents[3] / "docs" / "discord.md"


def slash_commands() -> Iterator[app_commands.Command[Any, ..., Any]]:
    """Every command that Discord shows, without its groups."""
    for command in (command for cog in COGS for command in cog.__cog_commands__ if command.parent is None):
        shown = getattr(command, "app_command", None)
        if isinstance(shown, app_commands.Group):
            yield from (inner for inner in shown.walk_commands() if isinstance(inner, app_commands.Command))
        elif isinstance(shown, app_commands.Command):
            yield shown


def row(command: app_commands.Command[Any, ..., Any]) -> str:
    options = [
        f"{option.display_name}:" if option.required else f"[{option.display_name}:]" for option in command.parameters
    ]
    return f"| `{' '.join((f'/{command.qualified_name}', *options))}` | {command.description} |"


def test_every_option_tells_what_it_takes() -> None:
    options = [(command.qualified_name, option) for command in slash_commands() for option in command.parameters]
    assert len(options) > 50
    assert [(command, option.name) for command, option in options if str(option.description) == "…"] == []


def test_every_slash_command_stands_in_the_docs_with_its_options() -> None:
    rows = [row(command) for command in slash_commands()]
    assert len(rows) > 30
    documented = DOCS.read_text(encoding="utf-8")
    assert [line for line in rows if line not in documented] == []
    assert documented.count("\n| `/") == len(rows)
