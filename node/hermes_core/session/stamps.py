"""The stamp of a Connect, by which the latest home of an app is known: when it connected, in ms since 1970, always rising."""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.limits import DIRECTORY_TTL_S, STAMP_AHEAD_S


def next_stamp(last: int, wall_s: float) -> int:
    """Of the next Connect. A last one more than an hour ahead is forgotten: its clock was wrong, and nodes refuse it."""
    now = int(wall_s * 1000)
    return max(now, last + 1) if last <= now + STAMP_AHEAD_S * 1000 else now


def judge_stamp(stamp: int, date_s: float) -> None:
    """CLOCK_SKEW for one that counts for nobody: more than an hour ahead of `date_s`, or too old to be remembered."""
    if stamp / 1000 > date_s + STAMP_AHEAD_S:
        raise ProtocolError(ErrorCode.CLOCK_SKEW, "the stamp is an hour ahead of this time, or more", scope=ErrorScope.STREAM)
    if stamp / 1000 < date_s - DIRECTORY_TTL_S:
        raise ProtocolError(ErrorCode.CLOCK_SKEW, "the stamp is more than thirty days old", scope=ErrorScope.STREAM)
