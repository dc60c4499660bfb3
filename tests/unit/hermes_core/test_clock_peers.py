"""What others' clocks change after a start: time that was held back, time that was believed too soon, and a doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_core.clock_check import ClockDoubt, ClockJudgement
from hermes_core.clock_peers import ClockOutput, ClockPeers, SeenTime
from hermes_core.ids import NodeId
from hermes_core.limits import CLOCK_TOLERANCE_S, UNCONFIRMED_TIME_S

SEEN = 1_800_000_000.0
DAY_S = 86_400.0
YEAR_S = 365 * DAY_S
WAIT_S = 15.0
EARLIER, LATER, OFF = ClockDoubt.EARLIER, ClockDoubt.LATER, ClockDoubt.OFF
NOTHING = ClockOutput()


class Scene:
    """A node that starts `away` after it was last seen, with a clock that is `off`, and that of each other node, as told."""

    def __init__(self, *, away: float, off: float = 0.0, wait_s: float = WAIT_S, unconfirmed: float = 0.0) -> None:
        self.real = SEEN + away
        self.off = off
        self.started = self.real
        self.clock = ClockPeers(self.real + off, SeenTime(SEEN, unconfirmed), wait_s=wait_s)

    @property
    def now(self) -> float:
        return self.clock.start_s + (self.real - self.started)

    @property
    def date(self) -> float:
        return self.now + self.clock.ahead_s

    @property
    def unconfirmed(self) -> float:
        return self.clock.read(self.now).unconfirmed_s

    def hear(self, *others: float) -> ClockOutput:
        """Peers whose clocks are off by so much; only the last one's news."""
        output = NOTHING
        for number, off in enumerate(others):
            self.clock.take_peer(NodeId(f"node-{number}"), self.real + off, self.real + self.off, self.now)
            output = self.clock.take_output()
        return output

    def hear_operator(self, off: float) -> ClockOutput:
        self.clock.take_operator(self.real + off, self.real + self.off, self.now)
        return self.clock.take_output()

    def pass_time(self, seconds: float) -> ClockOutput:
        self.real += seconds
        self.clock.handle_timer(self.now)
        return self.clock.take_output()


def test_until_others_agree_no_time_away_counts_then_all_of_it() -> None:
    scene = Scene(away=60 * DAY_S)
    assert scene.clock.alone == ClockJudgement(SEEN + UNCONFIRMED_TIME_S, LATER, 53 * DAY_S)
    assert scene.date == SEEN
    scene.pass_time(5.0)
    assert scene.hear(0.0, 30.0) == NOTHING
    assert scene.hear(0.0, 30.0, -30.0) == ClockOutput(ahead_s=53 * DAY_S, confirmed=True)
    assert scene.date == scene.real
    assert scene.clock.next_timer() is None


def test_the_operators_clock_and_one_other_are_enough() -> None:
    scene = Scene(away=60 * DAY_S)
    assert scene.hear_operator(0.0) == NOTHING
    assert scene.hear(1.0).confirmed
    assert scene.date == scene.real


@pytest.mark.parametrize("lie", [-1e12, -YEAR_S, 3600.0, YEAR_S, 1e16])
def test_one_liar_beside_the_operator_is_as_good_as_nobody(lie: float) -> None:
    scene = Scene(away=20 * DAY_S)
    scene.hear_operator(0.0)
    assert scene.hear(lie) == NOTHING
    assert scene.clock.next_timer() is not None, "and nobody waits for less"
    scene.hear(lie, 0.0)
    assert scene.date == scene.real, "two that agree outvote it"
    ahead = Scene(away=3600.0, off=60 * DAY_S)
    ahead.hear_operator(0.0)
    ahead.hear(120 * DAY_S)
    ahead.pass_time(WAIT_S)
    assert ahead.date <= SEEN + UNCONFIRMED_TIME_S + WAIT_S


def test_without_others_seven_days_count_once_the_wait_is_over() -> None:
    scene = Scene(away=60 * DAY_S)
    scene.hear(0.0, 0.0)
    assert scene.clock.next_timer() == scene.now + WAIT_S
    assert scene.pass_time(WAIT_S - 1.0) == NOTHING
    assert scene.pass_time(1.0) == ClockOutput(ahead_s=0.0)
    assert scene.date == SEEN + UNCONFIRMED_TIME_S + WAIT_S
    assert scene.hear(0.0, 0.0, 0.0).confirmed, "they may come later as well"
    assert scene.date == scene.real


@pytest.mark.parametrize("wait_s", [WAIT_S, 0.0])
def test_a_minute_is_not_worth_a_wait(wait_s: float) -> None:
    scene = Scene(away=CLOCK_TOLERANCE_S, wait_s=wait_s)
    assert scene.date == scene.real
    assert scene.clock.next_timer() is None
    assert Scene(away=YEAR_S, wait_s=0.0).date == SEEN + UNCONFIRMED_TIME_S, "who has no mesh waits for nobody"


def test_a_clock_31_days_ahead_is_put_right_and_doubted() -> None:
    scene = Scene(away=3600.0, off=31 * DAY_S)
    assert scene.date == SEEN
    output = scene.hear(0.0, 0.0, 0.0)
    assert output.doubt == ClockJudgement(scene.real, OFF, 31 * DAY_S)
    assert scene.date == scene.real
    late = Scene(away=3600.0, off=31 * DAY_S)
    late.pass_time(WAIT_S)
    assert late.date == SEEN + UNCONFIRMED_TIME_S + WAIT_S
    late.hear(0.0, 0.0, 0.0)
    assert late.date == late.real, "what was believed too soon is taken back"


def test_a_clock_20_years_behind_is_doubted_and_counts_what_was_away_once_it_is_right() -> None:
    scene = Scene(away=10 * DAY_S, off=-20 * YEAR_S)
    assert scene.clock.alone.doubt is EARLIER
    assert scene.hear(0.0, 0.0, 0.0).doubt == ClockJudgement(SEEN, OFF, 20 * YEAR_S)
    assert scene.date == SEEN, "nobody's word alone makes time pass"
    scene.off = 0.0  # the machine was synchronised
    assert scene.hear(0.0) == ClockOutput(ahead_s=10 * DAY_S, confirmed=True)
    assert scene.date == scene.real


def test_a_clock_that_nobody_would_doubt_is_doubted_by_three() -> None:
    scene = Scene(away=3 * DAY_S, off=2 * DAY_S)
    assert scene.clock.alone.doubt is None
    assert scene.hear(0.0, 0.0, 0.0).doubt == ClockJudgement(scene.real, OFF, 2 * DAY_S)
    assert scene.date == scene.real
    assert scene.hear(1.0, 2.0, 3.0) == NOTHING, "once a run"


def test_what_was_heard_counts_as_long_as_its_link_stands() -> None:
    scene = Scene(away=60 * DAY_S)
    scene.hear(0.0, 0.0)
    scene.clock.drop_peer(NodeId("node-1"))
    scene.clock.take_peer(NodeId("node-2"), scene.real, scene.real, scene.now)
    assert scene.date == SEEN
    scene.hear(0.0, 0.0, 0.0)
    scene.clock.drop_peer(NodeId("node-2"))
    assert scene.date == scene.real


far = st.sampled_from([-1e12, -YEAR_S, -3600.0, 3600.0, YEAR_S, 1e16])


@given(st.lists(far, min_size=1, max_size=2), st.floats(0, 90 * DAY_S), st.permutations(range(5)))
def test_liars_that_are_fewer_than_half_change_nothing(lies: list[float], away: float, order: list[int]) -> None:
    said = [*lies, *[0.0] * (5 - len(lies))]
    honest, lied = Scene(away=away), Scene(away=away)
    honest.hear(0.0, 0.0, 0.0)
    for place in order[2:] + order[:2]:
        lied.clock.take_peer(NodeId(f"node-{place}"), lied.real + said[place], lied.real, lied.now)
    for place in order:  # each links again, in another order: all five count by now
        lied.clock.take_peer(NodeId(f"node-{place}"), lied.real + said[place], lied.real, lied.now)
    assert abs(lied.date - honest.date) <= CLOCK_TOLERANCE_S


@pytest.mark.parametrize("lie", [-1e12, -YEAR_S, 3600.0, 1e16])
@pytest.mark.parametrize("place", range(5))
def test_one_liar_raises_no_doubt_and_hinders_no_confirmation(lie: float, place: int) -> None:
    scene, said, confirmed = Scene(away=60 * DAY_S), [0.0] * 5, False
    said[place] = lie
    for number, off in enumerate(said):
        scene.clock.take_peer(NodeId(f"node-{number}"), scene.real + off, scene.real, scene.now)
        output = scene.clock.take_output()
        assert output.doubt is None
        confirmed = confirmed or output.confirmed
        assert scene.date == (SEEN if number < 2 else scene.real)
    assert confirmed


@given(st.lists(far, min_size=0, max_size=5), st.none() | far, st.floats(0, 90 * DAY_S))
def test_no_others_make_more_time_pass_than_the_own_clock_says(lies: list[float], operator: float | None, away: float) -> None:
    scene = Scene(away=away)
    if operator is not None:
        scene.hear_operator(operator)
    scene.hear(*lies)
    assert SEEN - CLOCK_TOLERANCE_S <= scene.date <= max(scene.real, scene.now) + CLOCK_TOLERANCE_S


def test_a_doubt_of_the_start_is_not_told_twice() -> None:
    scene = Scene(away=-2 * YEAR_S)
    assert scene.clock.alone.doubt is EARLIER
    output = scene.hear(0.0, 0.0, 0.0)
    assert replace(output, ahead_s=None) == NOTHING
    assert scene.date == scene.real, "it was the last run's clock that was wrong"


@pytest.mark.parametrize("wait_s", [WAIT_S, 0.0])
def test_what_nobody_confirms_is_remembered_and_shrinks_by_time_that_runs(wait_s: float) -> None:
    scene = Scene(away=3 * DAY_S, wait_s=wait_s, unconfirmed=DAY_S)
    if wait_s:
        assert scene.unconfirmed == DAY_S, "nothing more was counted yet"
        scene.pass_time(wait_s)
    assert scene.unconfirmed == 4 * DAY_S - wait_s
    scene.pass_time(DAY_S)
    assert scene.unconfirmed == 3 * DAY_S - wait_s
    scene.pass_time(9 * DAY_S)
    assert scene.unconfirmed == 0.0


def test_what_others_confirm_is_owed_no_more() -> None:
    scene = Scene(away=3 * DAY_S, unconfirmed=4 * DAY_S)
    scene.pass_time(WAIT_S)
    scene.hear(0.0, 0.0)
    assert scene.unconfirmed == UNCONFIRMED_TIME_S - WAIT_S, "two are not enough"
    scene.hear(0.0, 0.0, 0.0)
    assert scene.unconfirmed == 0.0


def test_what_others_contradict_is_owed_on() -> None:
    """The last run's date was 3 days ahead, and this clock is a year ahead: the date stays, and is not taken for confirmed."""
    scene = Scene(away=-3 * DAY_S, off=YEAR_S)
    scene.hear(0.0, 0.0, 0.0)
    assert scene.date == SEEN
    assert scene.unconfirmed == 3 * DAY_S
    far = Scene(away=-60 * DAY_S, off=YEAR_S)
    far.hear(0.0, 0.0, 0.0)
    assert far.unconfirmed == UNCONFIRMED_TIME_S, "who lies about it costs no more than this"


offsets = st.floats(-1e9, 1e9) | st.sampled_from([6.9 * DAY_S, 31 * DAY_S, YEAR_S])
starts = st.tuples(offsets, st.floats(0, DAY_S), st.sampled_from([0.0, WAIT_S]), st.lists(st.just(0.0) | offsets, max_size=2))


@given(st.lists(starts, min_size=1, max_size=8))
def test_over_any_chain_of_starts_no_more_counts_than_the_bound_and_the_time_that_ran(
    chain: list[tuple[float, float, float, list[float]]],
) -> None:
    """Each start with a clock of its own, and with too few others to confirm it. No time passes between two runs."""
    seen, ran = SeenTime(SEEN), 0.0
    for off, lasts, wait_s, others in chain:
        real = SEEN + ran
        clock = ClockPeers(real + off, seen, wait_s=wait_s)
        for number, other in enumerate(others):
            clock.take_peer(NodeId(f"node-{number}"), real + other, real + off, clock.start_s)
        clock.handle_timer(clock.start_s + lasts)
        seen, ran = clock.read(clock.start_s + lasts), ran + lasts
        assert seen.date_s - SEEN >= ran - 1.0
        assert seen.date_s - SEEN <= UNCONFIRMED_TIME_S + 2 * ran + 1.0


@pytest.mark.parametrize(("step", "others"), [(0.0, 0), (0.0, 2), (6.9 * DAY_S, 0), (31 * DAY_S, 2)])
def test_a_clock_that_is_a_year_ahead_counts_its_week_once_however_often_the_node_starts(step: float, others: int) -> None:
    """It stays the same, or goes on by a step at each; two others that are right are too few to say so."""
    seen, off = SeenTime(SEEN), 0.0 if step else YEAR_S
    for start in range(20):
        real, off = SEEN + 61.0 * start, off + step
        clock = ClockPeers(real + off, seen, wait_s=WAIT_S)
        for number in range(others):
            clock.take_peer(NodeId(f"node-{number}"), real, real + off, clock.start_s)
        clock.handle_timer(clock.start_s + 61.0)
        seen = clock.read(clock.start_s + 61.0)
    assert UNCONFIRMED_TIME_S <= seen.date_s - SEEN <= UNCONFIRMED_TIME_S + 2 * 61.0 * 20


def test_a_node_that_is_often_off_counts_its_time_and_one_that_was_off_for_long_catches_up() -> None:
    """Alone: every night off for 12 h and on for as long; then off for ten days, and off for a minute each day."""
    seen, real = SeenTime(SEEN), SEEN
    for _ in range(60):
        real += DAY_S / 2
        clock = ClockPeers(real, seen, wait_s=0.0)
        assert clock.alone.doubt is None
        real += DAY_S / 2
        seen = clock.read(clock.start_s + DAY_S / 2)
        assert seen.date_s == pytest.approx(real)
    real += 10 * DAY_S
    doubts = []
    for _ in range(6):
        clock = ClockPeers(real, seen, wait_s=0.0)
        doubts.append(clock.alone.doubt)
        real += DAY_S
        seen = clock.read(clock.start_s + DAY_S)
        real += 60.0
    assert doubts[0] is LATER
    assert doubts[-1] is None
    assert seen.date_s == pytest.approx(real, abs=2 * CLOCK_TOLERANCE_S)
