"""A target that nobody sees: what would be published is in the outbox's history, and nowhere else."""

from __future__ import annotations

from bot.posting.sender import Outcome, Sent
from storage.outbox import OutboxPost


class DrySender:
    async def send(self, post: OutboxPost) -> Outcome:
        """Publish nothing."""
        return Sent(None)
