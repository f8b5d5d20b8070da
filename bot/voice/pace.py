"""On how many cores the next token is decoded: on several only while they are really ours.

Cores that share a token wait for each other at each of its operations. Where another process has one of them, as a
training does, the others wait for it most of the time, and one core alone is several times as quick. With nothing
beside, a turn in a hundred waits, too: so it takes two in a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_WAITING = 1.3
"""A turn that takes so many times what it computes has been waiting for a core."""
_TURNS_ALONE = 64
"""After which sharing is tried again, once: a slow turn in so many does no harm."""


class Pace:
    """For one thread. `cores` says how many it may have at the moment; `wall` and `computed` tell seconds."""

    def __init__(
        self,
        cores: Callable[[], int],
        wall: Callable[[], float] = time.perf_counter,
        computed: Callable[[], float] = time.thread_time,
    ) -> None:
        self._cores = cores
        self._wall, self._computed = wall, computed
        self._alone = 0
        self._waited = False

    @contextmanager
    def turn(self) -> Iterator[int]:
        """A turn on as many cores as it gives; watched, where they are several."""
        cores = 1 if self._alone else self._cores()
        self._alone = max(0, self._alone - 1)
        began, computed = self._wall(), self._computed()
        yield cores
        if cores > 1:
            waited = self._wall() - began > _WAITING * (self._computed() - computed)
            if waited and self._waited:
                self._alone = _TURNS_ALONE
            self._waited = waited
