from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.ids import new_id, utc_text, utc_time


def test_later_ids_sort_after_earlier_ones() -> None:
    made = [new_id() for _ in range(5_000)]
    assert all(earlier < later for earlier, later in pairwise(made))


def test_ids_still_rise_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = new_id()
    monkeypatch.setattr("time.time_ns", lambda: 0)
    assert before < new_id() < new_id()


def test_an_id_is_a_ulid_of_now() -> None:
    before = datetime.now(UTC)
    made = new_id()
    assert len(made) == 26
    milliseconds = 0
    for letter in made[:10]:
        milliseconds = milliseconds * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    assert abs(milliseconds / 1000 - before.timestamp()) < 5


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11, minutes=-30))])))
def test_time_round_trips_as_utc(moment: datetime) -> None:
    if moment.year in (1, 9999):  # another zone may have no such year
        return
    text = utc_text(moment)
    assert utc_time(text) == moment
    assert text.endswith("Z") and utc_time(text).utcoffset() == timedelta(0)


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (utc_text(one) < utc_text(other)) == (one < other)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        utc_text(datetime(2026, 1, 1))  # noqa: DTZ001 - the naive time is the case
