"""Time zones, by their names in the IANA database."""

from __future__ import annotations

import difflib
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones


def zone_named(name: str) -> ZoneInfo:
    """In whatever case it is written. Raises ValueError for what is no zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = {zone.lower(): zone for zone in available_timezones()}
        if name.lower() not in known:
            raise ValueError(f"{name!r} is no time zone") from None
        return ZoneInfo(known[name.lower()])


def nearest_zone(name: str) -> str | None:
    """The zone that somebody may have meant: Europe/Madrid by madrid, or by Europe/Madrit."""
    known = {zone.lower(): zone for zone in sorted(available_timezones())}
    wanted = name.strip().lower().replace(" ", "_")
    cities = [zone for key, zone in known.items() if key.rpartition("/")[2] == wanted]
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.8)
    return cities[0] if cities else known[near[0]] if near else None
