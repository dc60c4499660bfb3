"""How far a node's clock is believed at its start, against the last time seen and the clocks of others; pure.

A clock that is wrong must not erase: time that nobody confirms counts up to a bound, which all starts share. Nor must it keep
old keys alive: whoever doubts its clock has every key renewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median_low
from typing import Final

from hermes_core.limits import CLOCK_TOLERANCE_S, UNCONFIRMED_TIME_S

CLOCKS_TO_CONFIRM: Final = 3
CLOCKS_WITH_THE_OPERATORS: Final = 2


class ClockDoubt(StrEnum):
    """EARLIER than the last time seen, LATER than the bound after it, or OFF what others' clocks say.

    A minute is nothing: a clock that is set right by a second must not have every chat rekeyed.
    """

    EARLIER = "earlier"
    LATER = "later"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ClockJudgement:
    """`time_s`: what to go on from, seconds since 1970. `off_s`: how far the clock is from where it can be believed."""

    time_s: float
    doubt: ClockDoubt | None = None
    off_s: float = 0.0


def judge_clock(
    wall_s: float,
    last_seen_s: float | None,
    *,
    unconfirmed_s: float = 0.0,
    peers_s: Sequence[float] = (),
    operator_s: float | None = None,
) -> ClockJudgement:
    """What to believe of a clock that says `wall_s`; None: this node has never seen the time before.

    `unconfirmed_s`: so much of `last_seen_s` was counted and confirmed by nobody; the bound is for it and what is counted now.
    `peers_s`, `operator_s`: what others' clocks said at the same moment, see `find_median`.
    """
    others = find_median(peers_s, operator_s)
    if others is not None:
        return _judge_by_others(wall_s, last_seen_s, others)
    if last_seen_s is None:
        return ClockJudgement(wall_s)
    if wall_s < last_seen_s - CLOCK_TOLERANCE_S:
        return ClockJudgement(last_seen_s, ClockDoubt.EARLIER, last_seen_s - wall_s)
    latest = last_seen_s + max(0.0, UNCONFIRMED_TIME_S - unconfirmed_s)
    if wall_s > latest + CLOCK_TOLERANCE_S:
        return ClockJudgement(latest, ClockDoubt.LATER, wall_s - latest)
    return ClockJudgement(min(max(wall_s, last_seen_s), latest))


def _judge_by_others(wall_s: float, last_seen_s: float | None, others_s: float) -> ClockJudgement:
    """Time counts as far as clock and others agree. Between two runs it never goes back, unless both say that it must."""
    off = abs(wall_s - others_s)
    if off > CLOCK_TOLERANCE_S:
        agreed = min(wall_s, others_s)
        return ClockJudgement(agreed if last_seen_s is None else max(agreed, last_seen_s), ClockDoubt.OFF, off)
    if last_seen_s is not None and wall_s < last_seen_s - CLOCK_TOLERANCE_S:
        # It was the last run's clock that was wrong, and ages were counted by it.
        return ClockJudgement(wall_s, ClockDoubt.EARLIER, last_seen_s - wall_s)
    return ClockJudgement(wall_s)


def find_median(peers_s: Sequence[float], operator_s: float | None) -> float | None:
    """What others' clocks say together, once there are three of them, or two with the operator's; None: nothing.

    Of an even number it is the lower one of the middle two, which erases less. Two must agree with each other: nobody can tell
    which of them is wrong.
    """
    clocks = sorted(peers_s if operator_s is None else [*peers_s, operator_s])
    if len(clocks) < (CLOCKS_TO_CONFIRM if operator_s is None else CLOCKS_WITH_THE_OPERATORS):
        return None
    if len(clocks) == CLOCKS_WITH_THE_OPERATORS and clocks[1] - clocks[0] > CLOCK_TOLERANCE_S:
        return None
    return median_low(clocks)
