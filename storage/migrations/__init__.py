"""The schema, as the steps that made it. A step is never edited once released: what changes, changes in a new one.

One file a family of tables; their steps are applied in the order in which they stand here. Times are UTC as ISO 8601
text ending in Z, so that their order as text is their order in time.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from storage.migrations import core, discord, guard, people, posting, schedules, x

migrations = Migrations("mynah")
for step in (*core.STEPS, *people.STEPS, *discord.STEPS, *schedules.STEPS, *posting.STEPS, *x.STEPS, *guard.STEPS):
    migrations()(step)


def names() -> list[str]:
    """The names of all migrations of this version, in order."""
    with Database(memory=True) as nothing:
        return [migration.name for migration in migrations.pending(nothing)]
