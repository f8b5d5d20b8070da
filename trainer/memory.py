"""Memory that was freed goes back to the system: a model's worth of it lies between what is still in use."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def give_back() -> None:
    """Where the C library is glibc, which keeps it otherwise; others return it by themselves."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
