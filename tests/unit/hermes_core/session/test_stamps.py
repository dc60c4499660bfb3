"""Stamps of Connects: they rise, but not out of time."""

from __future__ import annotations

import pytest

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.limits import DIRECTORY_TTL_S, STAMP_AHEAD_S
from hermes_core.session.stamps import judge_stamp, next_stamp

NOW_S = 1_800_000_000.0
NOW = int(NOW_S * 1000)
HOUR = STAMP_AHEAD_S * 1000


@pytest.mark.parametrize(
    ("last", "following"),
    [(0, NOW), (NOW - 1, NOW), (NOW, NOW + 1), (NOW + HOUR, NOW + HOUR + 1), (NOW + HOUR + 1, NOW), (2**64 - 1, NOW)],
)
def test_the_next_stamp_is_the_time_or_above_the_last_unless_that_was_a_wrong_clock_s(last: int, following: int) -> None:
    assert next_stamp(last, NOW_S) == following


@pytest.mark.parametrize("stamp", [NOW, NOW + HOUR, NOW - DIRECTORY_TTL_S * 1000])
def test_what_is_within_the_bounds_counts(stamp: int) -> None:
    judge_stamp(stamp, NOW_S)


@pytest.mark.parametrize("stamp", [NOW + HOUR + 1, NOW - DIRECTORY_TTL_S * 1000 - 1, 0, 2**64 - 1])
def test_what_is_not_is_refused(stamp: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        judge_stamp(stamp, NOW_S)
    assert (caught.value.code, caught.value.scope) == (ErrorCode.CLOCK_SKEW, ErrorScope.STREAM)
