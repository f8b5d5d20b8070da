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


class Room:
    """Steps of other sizes, one after another: a large one finds no room in the pieces that smaller ones left, and took
    a third more memory for good."""

    def __init__(self) -> None:
        self._largest = 0
        self._was_largest = False

    def make_for(self, size: int) -> None:
        """Begin anew before the largest step so far, and after it."""
        is_largest = size > self._largest
        if is_largest or self._was_largest:
            give_back()
        self._largest, self._was_largest = max(size, self._largest), is_largest
