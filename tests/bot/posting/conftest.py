from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.posting.desk import Desk, desk_on
from tests.servers.x import LocalX
from tests.servers.x_clock import Clock


@pytest.fixture
async def desk(x: LocalX, clock: Clock, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on(x, clock, tmp_path / "mynah.db") as desk:
        yield desk
