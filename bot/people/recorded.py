"""`/consents`: on what ground each voice is here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from bot.people import grounds
from storage import blends, consents, personas
from storage.consents import Ground, Use


@dataclass(frozen=True, slots=True)
class Recorded:
    """On what ground a persona is here."""

    handle: str
    ground: Ground | None
    """None for one from before consents were kept, and for a blend."""
    scope: tuple[Use, ...]
    source: str
    asked_by: str
    at: datetime | None
    withdrawn_at: datetime | None
    words: str
    blend_of: tuple[str, ...] = ()
    """Handles of whom it is blended: it may be used as far as each of them agreed."""


def recorded(db: Database) -> list[Recorded]:
    """Every persona's consents, by handle: the newest counts, all are told.

    Whose only clones failed is not here, and has none.
    """
    found, here = [], {persona.id for persona in personas.known(db)}
    for persona in personas.all(db):
        given = consents.of(db, persona.id)
        if not given:
            people = tuple(part.handle for part in blends.parts(db, persona.id))
            if people or persona.id in here:
                found.append(Recorded(persona.handle, None, (), persona.source, "", None, None, "", people))
        else:
            consent = given[-1]
            found.append(
                Recorded(
                    persona.handle,
                    consent.ground,
                    consent.scope,
                    consent.source,
                    consent.asked_by,
                    consent.at,
                    consent.withdrawn_at,
                    grounds.all_in_words(given),
                )
            )
    return found
