"""Writes what schedules post: behind the guard, and as a draft where a person wants to look at it first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.drafts import default_approval, first_state
from bot.guard.speech import Guarded, Rejected
from bot.schedules.runner import Refused, Written
from bot.settings import Settings
from storage.database import Store
from storage.personas import Persona


class GuardedAuthor:
    """What `bot.schedules.runner` calls an author."""

    def __init__(self, settings: Settings, store: Store, guarded: Guarded) -> None:
        self._settings = settings
        self._store = store
        self._guarded = guarded

    async def write(
        self, persona: Persona, prompt: str, target: str, due_at: datetime, context: Sequence[str] = ()
    ) -> Written | Refused:
        """One post that may leave; `context` is what it answers. Raises MynahError where the persona cannot speak."""
        spoken = await self._guarded.speak(persona, prompt, target=target, context=context)
        if isinstance(spoken, Rejected):
            return Refused(spoken.reason)
        state, expires_at = await self._store.run(first_state, persona.id, default_approval(self._settings), due_at)
        return Written(spoken.text, spoken.clone_id, state, expires_at)
