"""How much somebody asked for lately."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlite_utils import Database

from storage import clones, discord_commands, personas


@pytest.mark.parametrize(
    ("by", "within", "count"),
    [("discord:12", "", 2), ("discord:123", "", 1), ("discord:1", "", 0), ("", "7", 2), ("", "8", 0)],
)
def test_clones_are_counted_for_one_person_or_one_server(fresh_db: Database, by: str, within: str, count: int) -> None:
    for number, asked_by in enumerate(("discord:12@7", "discord:12", "discord:123@7", "console")):
        persona = personas.ensure(fresh_db, f"p{number}")
        clones.enqueue(fresh_db, persona.id, "mynah", "{}", "gpt2", 1, asked_by, None)
    since = datetime.now(UTC) - timedelta(days=1)
    assert discord_commands.asked_since(fresh_db, since, by=by, within=within) == count
    assert discord_commands.asked_since(fresh_db, since + timedelta(days=2), by=by, within=within) == 0
