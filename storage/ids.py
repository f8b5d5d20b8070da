"""Sortable, stable ids and the one form of time that the database holds.

An id is a ULID (https://github.com/ulid/spec): 48 bits of Unix milliseconds and 80 random bits in Crockford's base 32,
26 characters. Within a process later ids always sort after earlier ones, also when the clock stands still or goes back.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A new ULID, greater than every one that this process made before."""
    global _last
    fresh = time.time_ns() // 1_000_000 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    with _lock:
        _last = max(fresh, _last + 1)
        value = _last
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def utc_now() -> str:
    """Now, as `utc_text` writes it."""
    return utc_text(datetime.now(UTC))


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and Z: one width, so that text order is time order.

    Raises ValueError for a naive datetime, whose zone nobody knows.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment}")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def utc_time(text: str) -> datetime:
    """The aware datetime behind a text of `utc_text`."""
    return datetime.fromisoformat(text)
