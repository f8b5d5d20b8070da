"""What X asks of an account that a program posts for: its label Automated, a bio that says so and names who runs it.

The bio can be read. The label is not in X's API, so a person is asked; nothing is posted before they have vouched for
both. X's rules: https://docs.x.com/developer-guidelines and help.x.com/en/using-x/automated-account-labels, 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from bot.posting.money import Budget
from bot.x.answers import read_answer
from bot.x.client import XClient
from bot.x.errors import NotSent, Refused, Unclear, Unreadable

_SAYS_BOT = re.compile(r"\b(ro)?bots?\b|automat|\bAI\b|machine|generated|parod|imitat", re.IGNORECASE)
_NAMES_SOMEBODY = re.compile(r"@\w+|https?://|\w\.\w{2,}")


@dataclass(frozen=True, slots=True)
class Profile:
    """What the account shows of itself."""

    id: str
    handle: str
    bio: str
    is_protected: bool

    @property
    def says_bot(self) -> bool:
        """Whether its bio says that a program writes, as far as words tell."""
        return _SAYS_BOT.search(self.bio) is not None

    @property
    def names_operator(self) -> bool:
        """Whether its bio has a handle or an address."""
        return _NAMES_SOMEBODY.search(self.bio) is not None

    @property
    def lacks(self) -> tuple[str, ...]:
        """What its owner has to put right at X, a sentence each."""
        found = []
        if not self.says_bot:
            found.append("Its bio does not say that a bot writes here.")
        if not self.names_operator:
            found.append("Its bio does not name who runs it, by a handle or an address.")
        if self.is_protected:
            found.append("Its posts are protected: nobody but its followers would see them.")
        return tuple(found)


LABEL = (
    "Does the account carry X's label “Automated”, linked to its operator's own account?"
    " X's API does not show it: see the account's settings, Your account, Automation."
)


CONFIRMATION = "x-etiquette:"
"""What begins the name under which an owner's word is kept; the account's id ends it."""


async def look(client: XClient, budget: Budget, *, user_auth: bool) -> Profile:
    """The account's own profile: one user read.

    Raises MynahError where it cannot be had, or paid for.
    """
    reservation = await budget.reserve("user", 1)
    try:
        answer = await client.get_me(user_fields=["description", "protected"], user_auth=user_auth)
    except (NotSent, Refused):
        await reservation.release()
        raise
    except Unclear:
        await reservation.settle()
        raise
    await reservation.settle()
    me = (await read_answer(_Me, answer)).data
    if me is None:
        raise Unreadable("X does not say whose keys these are.", "Try again later.")
    return Profile(me.id, me.username, me.description, me.protected)


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _Account(_Wire):
    id: str = Field(pattern=r"^\d{1,20}$")
    username: str
    description: str = ""
    protected: bool = False


class _Me(_Wire):
    data: _Account | None = None
