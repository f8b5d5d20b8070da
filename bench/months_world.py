"""X on three bad months: answers are lost, late or wrong, requests are refused, and new posts show late."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import timedelta

from bench.months_clock import SharedTime
from tests.servers import x_shapes as shapes
from tests.servers.faulty_http import Fault, Reply, Request
from tests.servers.x import LocalX, Trouble

POST_FAULTS = 0.15
READ_FAULTS = 0.10
ACCOUNT_FAULTS = 0.002

_WRITING: dict[str, dict[str, object]] = {
    "cut after posting": {"lose_answer": True},
    "503 after posting": {"reply": shapes.unavailable(), "done_first": True},
    "HTML after posting": {"reply": shapes.web_page(), "done_first": True},
    "HTML as 200 after posting": {"reply": shapes.web_page(200), "done_first": True},
    "308 after posting": {"reply": shapes.moved("/2/tweets"), "done_first": True},
    "cut before posting": {"cut_after_bytes": 10},
    "503 before posting": {"reply": shapes.unavailable()},
    "HTML before posting": {"reply": shapes.web_page()},
    "429 without a reset": {"reply": shapes.too_many()},
    "slow": {"delay_s": 0.05},
    "slower than the bot waits": {"delay_s": 0.6},
}
_READING: dict[str, dict[str, object]] = {
    "503 to a look": {"reply": shapes.unavailable()},
    "cut in a look": {"cut_after_bytes": 5},
    "HTML to a look": {"reply": shapes.web_page(200)},
    "429 to a look": {"reply": shapes.too_many()},
}
_ACCOUNT: dict[str, dict[str, object]] = {
    "401": {"reply": shapes.unauthorized()},
    "402": {"reply": shapes.credits_depleted()},
    "403": {"reply": shapes.not_permitted()},
}


class UnreliableX(LocalX):
    """`faults` counts what went wrong; `reached` is set whenever a post arrives."""

    def __init__(self, time: SharedTime, draw: random.Random) -> None:
        super().__init__(time.now)
        self._time = time
        self.faults: Counter[str] = Counter()
        self.reached = threading.Event()
        self._draw = draw
        self._drawing = threading.Lock()

    def reply(self, request: Request, fault: Fault | None) -> Reply:
        with self._time.hold():
            return super().reply(request, fault)

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self._drawing:
            is_post = method == "POST"
            if is_post:
                self.reached.set()
                self.read_lag = timedelta(minutes=self._draw.choice([0, 0, 0, 0.1, 1, 5, 12]))
                # X refuses the same text again, but nobody should rely on it: for every second post it does not.
                self.duplicate_window = timedelta(hours=self._draw.choice([0, 24]))
            if is_post and self._draw.random() < ACCOUNT_FAULTS:
                return self._fault(method, _ACCOUNT)
            if self._draw.random() < (POST_FAULTS if is_post else READ_FAULTS):
                return self._fault(method, _WRITING if is_post else _READING)
            return None

    def _fault(self, method: str, kinds: dict[str, dict[str, object]]) -> Fault:
        name = self._draw.choice(sorted(kinds))
        self.faults[name] += 1
        return Trouble(method, "/2/", **kinds[name])  # type: ignore[arg-type]
