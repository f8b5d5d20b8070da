"""How often personas speak in a channel, so that no two bots keep each other talking, and when they are quiet."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from datetime import time as clock_time

from bot.errors import CommandError
from bot.settings.speaking import Speaking

_MINUTE_S, _HOUR_S = 60.0, 3_600.0
_CHANNELS_KEPT = 10_000
HELP_EVERY_S = 300.0


class Turns:
    """Counted in memory: a restart forgets them, and nobody minds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: dict[int, deque[float]] = {}
        self._chimed: dict[int, float] = {}
        self._helped: dict[int, float] = {}

    def take(self, channel_id: int, settings: Speaking) -> bool:
        """Whether a persona may speak now; then it counts as having spoken."""
        now, taken = self._clock(), self._taken.pop(channel_id, deque())
        self._taken[channel_id] = taken  # the channel that spoke last stands last
        while taken and now - taken[0] >= _HOUR_S:
            taken.popleft()
        lately = sum(1 for moment in taken if now - moment < _MINUTE_S)
        if lately >= settings.turns_a_minute or len(taken) >= settings.turns_an_hour:
            return False
        taken.append(now)
        if len(self._taken) > _CHANNELS_KEPT:
            del self._taken[next(iter(self._taken))]
        return True

    def may_chime(self, channel_id: int, settings: Speaking) -> bool:
        """Whether the last time that somebody spoke unasked there is long enough ago; then it begins anew."""
        return self._begins_anew(self._chimed, channel_id, settings.chime_minutes * _MINUTE_S)

    def may_help(self, channel_id: int) -> bool:
        """Whether it was not explained there lately how to talk to personas; then it begins anew."""
        return self._begins_anew(self._helped, channel_id, HELP_EVERY_S)

    def _begins_anew(self, last: dict[int, float], channel_id: int, pause_s: float) -> bool:
        now, before = self._clock(), last.get(channel_id)
        if before is not None and now - before < pause_s:
            return False
        last.pop(channel_id, None)
        last[channel_id] = now
        if len(last) > _CHANNELS_KEPT:
            del last[next(iter(last))]
        return True


def quiet_hours(words: str) -> tuple[str, str] | None:
    """`23-7` or `22:30-07:15` as HH:MM twice; None for `no`.

    Raises:
        CommandError.
    """
    if words.strip().lower() in ("", "no", "none", "off"):
        return None
    parts = words.replace("–", "-").split("-")
    try:
        begins, ends = (_hour(part) for part in parts)
    except ValueError:
        raise CommandError(f"{words[:40]!r} are no hours.", "Such as 23-7, 22:30-07:15, or no.") from None
    return begins, ends


def is_quiet(begins: str | None, ends: str | None, now: datetime) -> bool:
    """Whether `now` lies between two times of day, around midnight too."""
    if begins is None or ends is None or begins == ends:
        return False
    at = f"{now:%H:%M}"
    return begins <= at < ends if begins < ends else at >= begins or at < ends


def _hour(text: str) -> str:
    hour, _, minute = text.strip().partition(":")
    return clock_time(int(hour), int(minute or "0")).strftime("%H:%M")
