"""A local X by the machine's clock, as whole bots ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.x import LocalX


@pytest.fixture
def x() -> Iterator[LocalX]:
    with LocalX() as server:
        yield server
