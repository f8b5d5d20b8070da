"""What posting asks of whoever watches the money: nothing is requested of X before it is reserved."""

from __future__ import annotations

from typing import Protocol

from storage.x_ledger import Kind


class Reservation(Protocol):
    """Money set aside for one request."""

    async def settle(self, units: int | None = None) -> None:
        """The request was, or may have been, charged: for so many units, or for all that were reserved."""
        ...

    async def release(self) -> None:
        """The request was surely not charged."""
        ...


class Budget(Protocol):
    async def reserve(self, kind: Kind, units: int = 1) -> Reservation:
        """Set money aside. Raises MynahError where there is not enough, or nobody can tell."""
        ...
