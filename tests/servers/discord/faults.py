"""What goes wrong when a test says so: with requests here, with the gateway in its own file."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tests.servers.discord.ratelimits import TooMany


@dataclass
class Fault:
    """What goes wrong with requests whose method and path match, so many times."""

    method: str
    path: str
    """A part of it, without `/api/v10`."""
    status: int = 0
    """Answered with this, not done."""
    done_first: bool = False
    """Done as asked before `status` is answered: what makes a client say things twice."""
    too_many: TooMany | None = None
    """Answered with this 429."""
    cut: bool = False
    """The connection is reset before anything is done."""
    lose_answer: bool = False
    """Done as asked, but the connection is reset before the answer."""
    garbage: bool = False
    """Answered with text that is no JSON though it says so."""
    stall: bool = False
    """No answer until the server closes."""
    delay_s: float = 0.0
    """Answered as usual, but so much later."""
    times: int = 1
    met: threading.Event = field(default_factory=threading.Event)
    """Set once it has struck."""


class Faults:
    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def strike(self, method: str, path: str) -> Fault | None:
        """The first that matches, once less."""
        with self._lock:
            for fault in self._waiting:
                if fault.method == method and fault.path in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None
