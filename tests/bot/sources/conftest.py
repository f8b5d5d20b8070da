"""A clock that keeps what was waited for, and an account whose name is an untidy one."""

from __future__ import annotations

import pytest

from tests.bot.sources.x_collecting import Clock
from tests.servers.x import LocalX
from tests.servers.x_world import Account


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ada(x: LocalX) -> Account:
    return x.world.add_account("Ada_L", "Ada\u202fL.\n")
