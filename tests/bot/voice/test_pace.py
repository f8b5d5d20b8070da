"""Several cores decode a token only while no other process has one of them."""

from __future__ import annotations

from collections.abc import Callable

from bot.voice.pace import _TURNS_ALONE, Pace

QUICK, WAITED = 0.002, 0.02


class Clocks:
    """A wall's clock and that of what a thread computes: every turn computes for as long as a quick one takes."""

    def __init__(self) -> None:
        self.wall = self.computed = 0.0

    def pace(self, cores: Callable[[], int]) -> Pace:
        return Pace(cores, lambda: self.wall, lambda: self.computed)

    def turn(self, pace: Pace, seconds: float = QUICK) -> int:
        with pace.turn() as cores:
            self.wall += seconds
            self.computed += QUICK
        return cores


def test_it_takes_as_many_cores_as_it_may() -> None:
    clocks, allowed = Clocks(), iter([1, 3, 2])
    pace = clocks.pace(lambda: next(allowed))
    assert [clocks.turn(pace) for _ in range(3)] == [1, 3, 2]


def test_after_two_turns_that_waited_it_is_alone_for_a_while_and_then_tries_again_once() -> None:
    clocks = Clocks()
    pace = clocks.pace(lambda: 4)
    assert [clocks.turn(pace, WAITED) for _ in range(2)] == [4, 4]
    assert [clocks.turn(pace) for _ in range(_TURNS_ALONE)] == [1] * _TURNS_ALONE
    assert clocks.turn(pace, WAITED) == 4
    assert [clocks.turn(pace) for _ in range(_TURNS_ALONE)] == [1] * _TURNS_ALONE
    assert [clocks.turn(pace), clocks.turn(pace)] == [4, 4]


def test_a_single_turn_that_waited_is_nobodys_fault() -> None:
    clocks = Clocks()
    pace = clocks.pace(lambda: 4)
    assert [clocks.turn(pace, seconds) for seconds in (WAITED, QUICK, WAITED, QUICK, QUICK)] == [4] * 5


def test_a_core_alone_is_not_blamed_for_waiting() -> None:
    clocks, allowed = Clocks(), iter([1, 1, 4])
    pace = clocks.pace(lambda: next(allowed))
    assert [clocks.turn(pace, WAITED), clocks.turn(pace, WAITED), clocks.turn(pace)] == [1, 1, 4]


def test_by_itself_it_goes_by_the_clocks_of_the_system() -> None:
    pace = Pace(lambda: 4)
    with pace.turn() as cores:
        assert cores == 4
