"""Addresses that settings name."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def is_base_url(value: str) -> bool:
    """Whether a service can live there: http or https, a host, and nothing that a path cannot be added to."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    bare = parts.username is None and not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and bare and not re.search(r"\s", value)
