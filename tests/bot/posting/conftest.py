from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.bot.posting.desk import Clock, Desk, desk_on
from tests.servers.x import LocalX


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def x(clock: Clock) -> Iterator[LocalX]:
    with LocalX(clock) as server:
        yield server


@pytest.fixture
async def desk(x: LocalX, clock: Clock, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on(x, clock, tmp_path / "mynah.db") as desk:
        yield desk
