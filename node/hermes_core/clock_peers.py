"""What others' clocks say of this node's, from its start on: how much of the time that it was away counts; pure.

At a start nobody was asked yet, so the node's clock is judged alone. Each other node says its time when a link to it comes up,
the operator when it hands back a mark; as soon as they are enough to count, the clock is judged again, and with each further
one. Timers go by the run's clock, which nothing of this moves: what changes is the date. Of more than a minute away nothing
counts before others agree, or the wait for them is over. One that others contradict is doubted, and every old key renewed.

What was counted and nobody confirmed is remembered over restarts, or a clock that is always wrong would count its bound at each
of them. It shrinks by what others confirm, and by time that really runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_core.clock_check import ClockDoubt, ClockJudgement, find_median, judge_clock
from hermes_core.ids import NodeId
from hermes_core.limits import CLOCK_TOLERANCE_S, UNCONFIRMED_TIME_S


@dataclass(frozen=True, slots=True)
class SeenTime:
    """`date_s`: seconds since 1970, as far as a node believes it. `unconfirmed_s`: what of it its own clock alone said."""

    date_s: float
    unconfirmed_s: float = 0.0


@dataclass(slots=True)
class ClockOutput:
    """`ahead_s`: how far the date is ahead of the run's clock, when that changed. `doubt`: one that is new in this run.

    `confirmed`: others agree with a clock that was in doubt.
    """

    ahead_s: float | None = None
    doubt: ClockJudgement | None = None
    confirmed: bool = False


@dataclass(slots=True)
class _Others:
    """How far others' clocks are ahead of the run's clock, in seconds."""

    peers: dict[NodeId, float] = field(default_factory=dict)
    operator: float | None = None


@dataclass(frozen=True, slots=True)
class _Reckoning:
    """`ahead_s`: of the run's clock the date is. `counted_s`: what nobody had confirmed `at`; since then it shrinks."""

    ahead_s: float
    counted_s: float
    at: float

    def unconfirmed_s(self, now: float) -> float:
        return max(0.0, self.counted_s - (now - self.at))


class ClockPeers:
    """`wall_s` is what the machine's clock says, `now` the run's clock: it begins at `start_s`, and runs without a step."""

    def __init__(self, wall_s: float, last_seen: SeenTime | None, *, wait_s: float) -> None:
        """`last_seen`: None in a new keystore. `wait_s`: how long to wait for others; 0: there are none."""
        seen_s, unconfirmed_s = (None, 0.0) if last_seen is None else (last_seen.date_s, last_seen.unconfirmed_s)
        self._last_seen_s = seen_s
        self.alone = judge_clock(wall_s, seen_s, unconfirmed_s=unconfirmed_s)
        """What is believed while nobody else was heard."""
        self.start_s = self.alone.time_s
        self._told: set[ClockDoubt] = set() if self.alone.doubt is None else {self.alone.doubt}
        self._in_doubt = self.alone.doubt is not None
        self._others = _Others()
        self._output = ClockOutput()
        self._wait_ends_at: float | None = None
        self._away_s = 0.0 if seen_s is None else self.start_s - seen_s
        self._reckoning = _Reckoning(0.0, unconfirmed_s + self._away_s, self.start_s)
        if wait_s > 0 and self._away_s > CLOCK_TOLERANCE_S:
            self._wait_ends_at = self.start_s + wait_s
            self._reckoning = _Reckoning(-self._away_s, unconfirmed_s, self.start_s)

    @property
    def ahead_s(self) -> float:
        """The date is the run's clock and this."""
        return self._reckoning.ahead_s

    def read(self, now: float) -> SeenTime:
        """What to keep for the next start. From any thread."""
        reckoning = self._reckoning
        return SeenTime(now + reckoning.ahead_s, reckoning.unconfirmed_s(now))

    # what others say

    def take_peer(self, node_id: NodeId, their_s: float, wall_s: float, now: float) -> None:
        """Another node's link came up, and this was its clock. What it said before is void."""
        self._others.peers[node_id] = their_s - now
        self._judge(wall_s, now)

    def drop_peer(self, node_id: NodeId) -> None:
        """Its link is gone. What was concluded stays."""
        self._others.peers.pop(node_id, None)

    def take_operator(self, their_s: float, wall_s: float, now: float) -> None:
        """The operator's clock, with what it hands back."""
        self._others.operator = their_s - now
        self._judge(wall_s, now)

    def _judge(self, wall_s: float, now: float) -> None:
        peers_s = [now + ahead_s for ahead_s in self._others.peers.values()]
        operator_s = None if self._others.operator is None else now + self._others.operator
        median_s = find_median(peers_s, operator_s)
        if median_s is None:
            return
        seen_s = None if self._last_seen_s is None else self._last_seen_s + (now - self.start_s)
        judged = judge_clock(wall_s, seen_s, peers_s=peers_s, operator_s=operator_s)
        self._wait_ends_at = None
        ahead_s = self._settle(judged.time_s - now)
        contradicted_s = min(now + ahead_s - median_s, UNCONFIRMED_TIME_S)
        self._move(_Reckoning(ahead_s, contradicted_s if contradicted_s > 2 * CLOCK_TOLERANCE_S else 0.0, now))
        if judged.doubt is not None:
            self._in_doubt = True
            if judged.doubt not in self._told:
                self._told.add(judged.doubt)
                self._output.doubt = judged
        elif self._in_doubt:
            self._in_doubt = False
            self._output.confirmed = True

    def _settle(self, ahead_s: float) -> float:
        """Clocks that differ by seconds agree: that is not worth a write for each chat."""
        wanted = ahead_s if abs(ahead_s) > CLOCK_TOLERANCE_S else 0.0
        return wanted if abs(wanted - self.ahead_s) > CLOCK_TOLERANCE_S else self.ahead_s

    def _move(self, reckoning: _Reckoning) -> None:
        if reckoning.ahead_s != self.ahead_s:
            self._output.ahead_s = reckoning.ahead_s
        self._reckoning = reckoning

    # time

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do."""
        return self._wait_ends_at

    def handle_timer(self, now: float) -> None:
        """Nobody said anything in time: what is believed of the clock alone counts."""
        if self._wait_ends_at is not None and now >= self._wait_ends_at:
            self._wait_ends_at = None
            self._move(_Reckoning(0.0, self._reckoning.unconfirmed_s(now) + self._away_s, now))

    def take_output(self) -> ClockOutput:
        taken, self._output = self._output, ClockOutput()
        return taken
