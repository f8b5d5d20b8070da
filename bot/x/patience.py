"""How long reading waits for X: until a limit starts over, or a bad minute is past. For posting this is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import ClientResponse

from bot.x.errors import NotSent, RateLimited, Unclear, XError

_FIRST_WAIT_S = 60.0
_LONGEST_BLIND_WAIT_S = 900.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Patience:
    """Failed requests cost nothing at X, and what is read again on the same day costs nothing either."""

    longest_wait_s: float = 1_000
    """At once; X's common limits start over every 900 s. A limit that lasts longer is raised."""
    tries: int = 6
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    now: Callable[[], datetime] = _utc_now
    on_wait: Callable[[datetime, XError], None] = lambda until, reason: None
    """Told when a wait begins: until when, and for what."""

    async def ask(self, request: Callable[[], Awaitable[ClientResponse]]) -> ClientResponse:
        """The answer to a request that only reads, asked again where that may help.

        Raises what the last try did; refusals other than RateLimited at once.
        """
        for attempt in range(1, self.tries):
            try:
                return await request()
            except (RateLimited, NotSent, Unclear) as error:
                wait_s = self._wait_s(error, attempt)
                if wait_s > self.longest_wait_s:
                    raise
                self.on_wait(self.now() + timedelta(seconds=wait_s), error)
            await self.sleep(wait_s)
        return await request()

    def _wait_s(self, error: XError, attempt: int) -> float:
        if not isinstance(error, RateLimited):
            return float(2 ** (attempt - 1))
        left_s = (error.until - self.now()).total_seconds() if error.until else 0
        # A reset that is past already says as little as none: without waiting, X would be asked without end.
        return left_s + 1 if left_s > 0 else min(_FIRST_WAIT_S * 2 ** (attempt - 1), _LONGEST_BLIND_WAIT_S)
