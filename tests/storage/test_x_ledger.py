"""The ledger of X: what is set aside counts until it is known better, and no limit is ever passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from storage import x_ledger
from storage.database import migrate
from storage.errors import StorageError
from storage.x_ledger import Limits, Spent

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
WIDE = Limits(10**9, 10**9)


def test_reservation_counts_in_full_until_it_is_closed(fresh_db: Database) -> None:
    lost = x_ledger.reserve(fresh_db, "read", 100, 5_000, "collecting", WIDE, NOON)
    read = x_ledger.reserve(fresh_db, "read", 100, 5_000, "collecting", WIDE, NOON)
    refused = x_ledger.reserve(fresh_db, "post", 1, 15_000, "posting", WIDE, NOON)
    assert lost and read and refused
    x_ledger.settle(fresh_db, read, 40, NOON)
    x_ledger.release(fresh_db, refused, NOON)
    assert x_ledger.spent(fresh_db, NOON) == Spent(700_000, 700_000)
    assert [(one.state, one.units) for one in x_ledger.newest(fresh_db, 9)] == [
        ("released", 0),
        ("settled", 40),
        ("reserved", 100),
    ]
    with pytest.raises(StorageError):
        x_ledger.settle(fresh_db, read, 100, NOON)


def test_day_and_month_begin_at_midnight_utc(fresh_db: Database) -> None:
    limits = Limits(day=10, month=15)
    assert x_ledger.reserve(fresh_db, "read", 10, 1, "a", limits, NOON)
    assert x_ledger.reserve(fresh_db, "read", 1, 1, "a", limits, NOON) is None
    assert x_ledger.reserve(fresh_db, "read", 10, 1, "a", limits, NOON + timedelta(hours=11)) is None
    assert x_ledger.reserve(fresh_db, "read", 10, 1, "a", limits, NOON + timedelta(hours=12))
    assert x_ledger.spent(fresh_db, NOON - timedelta(days=1)) == Spent(20, 20), "a clock that went back sees it all"


def test_nothing_is_bought_where_a_budget_is_0(fresh_db: Database) -> None:
    assert x_ledger.reserve(fresh_db, "user", 1, 10_000, "look-up", Limits(0, 10**9), NOON) is None
    assert x_ledger.newest(fresh_db, 1) == []


@given(
    st.lists(
        st.tuples(
            st.integers(1, 100), st.sampled_from([1_000, 5_000, 200_000]), st.sampled_from(["settle", "release", ""])
        ),
        max_size=30,
    ),
    st.integers(0, 2_000_000),
    st.integers(0, 2_000_000),
)
def test_no_order_of_requests_passes_a_limit(asked: list[tuple[int, int, str]], day: int, month: int) -> None:
    with Database(memory=True) as db:
        migrate(db)
        for hours, (units, price, end) in enumerate(asked):
            now = NOON + timedelta(hours=5 * hours)
            id = x_ledger.reserve(db, "read", units, price, "collecting", Limits(day, month), now)
            if id is not None and end == "settle":
                x_ledger.settle(db, id, units // 2, now)
            elif id is not None and end == "release":
                x_ledger.release(db, id, now)
            spent = x_ledger.spent(db, now)
            assert spent.day <= day
            assert spent.month <= month
