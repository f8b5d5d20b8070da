"""Work is shared out between the halves of a processor, and nothing of it is lost, doubled or mixed up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.cores import Cores, dealt, one_core
from trainer.lean.frozen import Frozen
from trainer.packing import Row

POSTS = st.lists(st.integers(2, 300), min_size=1, max_size=20).map(lambda sizes: Row(tuple((0,) * n for n in sizes)))


@pytest.fixture
def two_cores() -> Iterator[Cores]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield Cores(torch.device("cpu"))
    torch.set_num_threads(before)


@given(row=POSTS, count=st.integers(1, 4))
def test_every_post_is_in_one_part_and_none_of_several_parts_has_nearly_all(row: Row, count: int) -> None:
    parts = dealt(row, count)
    assert sorted(itertools.chain(*parts)) == list(range(len(row.pieces)))
    if len(parts) > 1:
        assert all(sum(len(row.pieces[place]) - 1 for place in part) <= 2 / 3 * row.targets for part in parts)


def test_posts_of_like_length_are_halved() -> None:
    row = Row(tuple((0,) * size for size in (31, 30, 29, 28, 33, 34)))
    halves = [sum(len(row.pieces[place]) - 1 for place in part) for part in dealt(row, 2)]
    assert abs(halves[0] - halves[1]) <= 6


def test_one_long_post_is_left_to_all_cores() -> None:
    assert dealt(Row(((0,) * 200, (0,) * 5)), 2) == [[0, 1]]


def test_parts_are_answered_in_order_and_each_half_computes_on_its_own_cores(two_cores: Cores) -> None:
    parts = [Row(((0,) * 5,)), Row(((0,) * 9,))]
    answers = two_cores.each(lambda part: (part.targets, torch.get_num_threads()), parts)
    assert answers == [(4, 1), (8, 1)]
    assert two_cores.each(lambda _: torch.get_num_threads(), parts[:1]) == [2]


def test_what_fails_in_a_half_is_raised(two_cores: Cores) -> None:
    def fail(part: Row) -> None:
        raise ValueError(part.targets)

    with pytest.raises(ValueError, match="4"):
        two_cores.each(fail, [Row(((0,) * 5,)), Row(((0,) * 9,))])


def test_the_cores_come_back_after_a_small_task(two_cores: Cores) -> None:
    with pytest.raises(ValueError, match="small"), one_core():
        assert torch.get_num_threads() == 1
        raise ValueError("small")
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("is_long", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_weights_multiply_as_plain_ones(dtype: torch.dtype, is_long: bool) -> None:
    torch.manual_seed(1)
    weight, x, gradient = (torch.randn(*shape).to(dtype) for shape in ((48, 32), (21, 32), (21, 48)))
    frozen = Frozen(weight, is_long=is_long)
    torch.testing.assert_close(frozen.forth(x), x @ weight.t(), rtol=2e-2, atol=1e-1)
    torch.testing.assert_close(frozen.back(gradient), gradient @ weight, rtol=2e-2, atol=1e-1)
