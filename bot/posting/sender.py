"""What carries a post to its platform, and what it may say became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from storage.outbox import OutboxPost


@dataclass(frozen=True, slots=True)
class Sent:
    """Published, under this id of the platform's."""

    platform_id: str | None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely not published."""

    reason: str
    hint: str = ""
    is_final: bool = False
    """The platform will not have this post, now or later."""
    until: datetime | None = None
    """When it may be tried again, where the platform says so."""
    halts: bool = False
    """Nothing may be sent to this target until a person has seen to it."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """It may have been published."""

    reason: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The platform did not publish it now, since the account has this text already."""

    reason: str


Outcome = Sent | NotSent | Unclear | Duplicate


class Sender(Protocol):
    """A kind of target."""

    async def send(self, post: OutboxPost) -> Outcome:
        """Try once. Errors are outcomes; what is raised all the same counts as unclear."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the account's own timeline showed."""

    platform_id: str | None
    """The post that was looked for; None where it is not there."""
    newest_id: str | None
    """Of all that was seen."""


@runtime_checkable
class Lookout(Protocol):
    """A sender that can see what it has published."""

    async def newest(self, target: str) -> str | NotSent:
        """The newest post of the account's own, `0` where there is none."""
        ...

    async def find(self, post: OutboxPost, taken: frozenset[str]) -> Seen | NotSent:
        """Look for a post among those newer than its `since_id`; those `taken` are other ones."""
        ...
