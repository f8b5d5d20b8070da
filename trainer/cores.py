"""Half of the work to one half of the processor, half to the other.

Posts of a row do not see each other, nor do samples: nothing has to be exchanged before the end. With all cores in each
operation they would wait for each other some thousand times a row, at operations of a few microseconds; and beside
another busy process, for that one too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from trainer.packing import Row

P = TypeVar("P")
T = TypeVar("T")

_HALVES = 2
_EVEN = 2 / 3
"""A half of more than this share takes longer alone than the whole does together."""


class Cores:
    """The processor in two halves where it has several cores; any other device as one."""

    def __init__(self, device: torch.device) -> None:
        cores = torch.get_num_threads()
        self.count = _HALVES if device.type == "cpu" and cores >= _HALVES else 1
        self._pool: ThreadPoolExecutor | None = None
        if self.count > 1:
            self._pool = ThreadPoolExecutor(self.count, "half", torch.set_num_threads, (cores // self.count,))

    def each(self, work: Callable[[P], T], parts: Sequence[P]) -> list[T]:
        """What comes of each part, in order. A single one is worked at by all cores."""
        if self._pool is None or len(parts) == 1:
            return [work(part) for part in parts]
        return list(self._pool.map(work, parts))


@contextmanager
def one_core() -> Iterator[None]:
    """What is too small to be shared is computed on one."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(cores)


def dealt(row: Row, count: int) -> list[list[int]]:
    """The places of a row's pieces in `count` parts of about the same length, or in one where they are too uneven."""
    parts: list[list[int]] = [[] for _ in range(count)]
    sizes = [0] * count
    for place in sorted(range(len(row.pieces)), key=lambda one: -len(row.pieces[one])):
        part = sizes.index(min(sizes))
        parts[part].append(place)
        sizes[part] += len(row.pieces[place]) - 1
    if max(sizes) > _EVEN * row.targets:
        return [list(range(len(row.pieces)))]
    return parts
