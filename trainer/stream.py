"""The trainer's way out: events, one JSON object a line, from whichever thread has one."""

from __future__ import annotations

import threading
from typing import Protocol, TextIO

from trainer.protocol import AnyEvent


class Emit(Protocol):
    """Says one event to whoever listens."""

    def __call__(self, event: AnyEvent) -> None: ...


class EventStream:
    """Writes whole lines; a listener that has gone is not an error (its death ends this process another way)."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def __call__(self, event: AnyEvent) -> None:
        line = event.model_dump_json() + "\n"
        with self._lock:
            try:
                self._out.write(line)
                self._out.flush()
            except BrokenPipeError:
                return
