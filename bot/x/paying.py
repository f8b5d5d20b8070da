"""A client of X that sets money aside before each request that reads, and says afterwards what became of it.

A refusal is free and gives the money back. Where X's answer was lost, it may have been charged, and counts in full.
Of an answer that came, `unsettled` is what it may have cost, until whoever asked has stored what it brought.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import ClientResponse

from bot.x.budget import Budget, Reservation
from bot.x.client import Bearer, UserKeys, XClient
from bot.x.errors import NotSent, Refused, Unclear

_DEFAULT_PAGE = 10
_TIMELINE = re.compile(r"/2/users/\d+/(tweets|mentions)")


class PayingClient(XClient):
    """Reads, for money; `purpose` is what the ledger says of it."""

    def __init__(
        self,
        base_url: str,
        budget: Budget,
        purpose: str,
        *,
        bearer: Bearer | None = None,
        user: UserKeys | None = None,
    ) -> None:
        super().__init__(base_url, bearer=bearer, user=user)
        self._budget = budget
        self._purpose = purpose
        self.unsettled: Reservation | None = None

    async def request(
        self,
        method: str,
        route: str,
        params: Mapping[str, str] | None = None,
        json: object = None,
        user_auth: bool = False,
    ) -> ClientResponse:
        """One request that reads. Raises OverBudget, too, with nothing asked."""
        assert method == "GET", "this client only reads"
        if _TIMELINE.fullmatch(route):
            reserved = await self._budget.reserve(
                "read", int((params or {}).get("max_results", _DEFAULT_PAGE)), self._purpose
            )
        else:
            reserved = await self._budget.reserve("user", 1, self._purpose)
        try:
            answer = await super().request(method, route, params, json, user_auth)
        except (NotSent, Refused):
            await reserved.release()
            raise
        except Unclear:
            await reserved.settle()
            raise
        self.unsettled = reserved
        return answer

    async def settle(self, units: int) -> None:
        """What was asked last brought so many posts or accounts."""
        reserved, self.unsettled = self.unsettled, None
        if reserved is not None:
            await reserved.settle(units)
