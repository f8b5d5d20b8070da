"""What may leave: the guard, the voice behind it, drafts that a person looks at first, and what their choices teach."""

from __future__ import annotations

from bot.guard.guard import Guard, Verdict
from bot.guard.speech import Guarded, Rejected, Spoken

__all__ = ["Guard", "Guarded", "Rejected", "Spoken", "Verdict"]
