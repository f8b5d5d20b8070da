"""What X may cost: nothing is asked of it before its price is set aside, and where that can't be, it is not asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from bot.settings import Settings
from storage import x_ledger
from storage.database import Store
from storage.errors import MynahError
from storage.x_ledger import Kind, Limits, Line, Spent

MICRO = 1_000_000
"""Microdollars in a US dollar."""


class OverBudget(MynahError):
    """A request would cost more than the budget has left."""


@dataclass(frozen=True, slots=True)
class Money:
    """What was spent, and what may be, in US dollars."""

    day_spent: float
    day_limit: float
    month_spent: float
    month_limit: float
    left: float
    """The less of what the day and the month have left."""
    lines: tuple[Line, ...]
    """The month's requests by kind."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one request."""

    store: Store
    id: str
    now: Callable[[], datetime]

    async def settle(self, units: int | None = None) -> None:
        """The request was, or may have been, charged: for so many units, or for all that were reserved."""
        await self.store.run(x_ledger.settle, self.id, units, self.now())

    async def release(self) -> None:
        """The request was surely not charged."""
        await self.store.run(x_ledger.release, self.id, self.now())


class Budget:
    """`now` is when requests are charged."""

    def __init__(
        self, settings: Settings, store: Store, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._settings = settings
        self._store = store
        self._now = now

    async def reserve(self, kind: Kind, units: int = 1, purpose: str = "posting") -> Reservation:
        """Set money aside for one request.

        Raises:
            OverBudget: where there is too little. StorageError: where nobody can tell.
        """
        limits, price = self._limits, self.price(kind)
        id = await self._store.run(x_ledger.reserve, kind, units, price, purpose, limits, self._now())
        if id is None:
            raise OverBudget("The budget for X is used up.", "See /budget; budget_day and budget_month of [x] set it.")
        return Reservation(self._store, id, self._now)

    async def left(self) -> int:
        """Microdollars that may still be spent now; never below 0."""
        return self._left(await self._store.run(x_ledger.spent, self._now()))

    async def money(self) -> Money:
        """The budgets, what is left of them, and what the month's requests cost."""
        now, limits = self._now(), self._limits
        spent = await self._store.run(x_ledger.spent, now)
        lines = await self._store.run(x_ledger.by_kind, now)
        return Money(
            day_spent=spent.day / MICRO,
            day_limit=limits.day / MICRO,
            month_spent=spent.month / MICRO,
            month_limit=limits.month / MICRO,
            left=self._left(spent) / MICRO,
            lines=tuple(lines),
        )

    @property
    def _limits(self) -> Limits:
        x = self._settings.x
        return Limits(_microdollars(x.budget_day), _microdollars(x.budget_month))

    def _left(self, spent: Spent) -> int:
        limits = self._limits
        return max(0, min(limits.day - spent.day, limits.month - spent.month))

    def price(self, kind: Kind) -> int:
        """Microdollars for one unit."""
        x = self._settings.x
        prices = {"read": x.price_read, "user": x.price_user, "post": x.price_post}
        return _microdollars(prices.get(kind, x.price_post_with_link))


def _microdollars(dollars: float) -> int:
    return int(Decimal(str(dollars)) * MICRO)
