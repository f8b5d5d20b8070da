"""Several cores decode a token only while no other process has one of them."""

from __future__ import annotations

import time

from bot.voice.pace import _TURNS_ALONE, Pace


def _compute() -> None:
    ends = time.thread_time() + 0.002
    while time.thread_time() < ends:
        pass


def _turn(pace: Pace, *, waits_s: float = 0.0) -> int:
    with pace.turn() as cores:
        if not waits_s:
            _compute()
        time.sleep(waits_s)
    return cores


def test_it_takes_as_many_cores_as_it_may() -> None:
    allowed = iter([1, 1, 1])
    assert [_turn(Pace(lambda: next(allowed))) for _ in range(3)] == [1, 1, 1]


def test_after_two_turns_that_waited_it_is_alone_for_a_while_and_then_tries_again_once() -> None:
    pace = Pace(lambda: 4)
    assert [_turn(pace, waits_s=0.02) for _ in range(2)] == [4, 4]
    assert [_turn(pace) for _ in range(_TURNS_ALONE)] == [1] * _TURNS_ALONE
    assert _turn(pace, waits_s=0.02) == 4
    assert [_turn(pace) for _ in range(_TURNS_ALONE)] == [1] * _TURNS_ALONE
    assert [_turn(pace), _turn(pace)] == [4, 4]


def test_a_single_turn_that_waited_is_nobodys_fault() -> None:
    pace = Pace(lambda: 4)
    assert [_turn(pace, waits_s=waits_s) for waits_s in (0.02, 0.0, 0.02, 0.0)] == [4] * 4
    assert _turn(pace) == 4


def test_a_core_alone_is_not_blamed_for_waiting() -> None:
    allowed = iter([1, 4])
    pace = Pace(lambda: next(allowed))
    assert _turn(pace, waits_s=0.02) == 1
    assert _turn(pace) == 4
