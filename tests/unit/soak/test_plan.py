"""A seed repeats the soak's plan, and no kind is left out of it."""

from __future__ import annotations

from collections import Counter

from tests.soak.lanes import DO
from tests.soak.plan import KINDS, LANES, draw_fault
from tests.soak.slots import draw_slots

APPS = [f"app-{number}" for number in range(20)]


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    for lane in LANES:
        plans = [[draw_fault(seed, lane, number) for number in range(40)] for seed in (1, 1, 2)]
        same, again, other = [[(fault.kind, fault.draws.random()) for fault in plan] for plan in plans]
        assert same == again
        assert same != other


def test_every_kind_comes_as_often_as_any_other_of_its_lane() -> None:
    for lane, kinds in LANES.items():
        counts = Counter(draw_fault(3, lane, number).kind for number in range(10 * len(kinds)))
        assert set(counts.values()) == {10}
        assert set(counts) == set(kinds)


def test_every_kind_can_be_done() -> None:
    assert set(DO) == set(KINDS)


def test_slots_join_different_apps_and_every_app_has_some() -> None:
    slots = draw_slots(1, APPS, 60)
    assert len(slots) == 60
    assert all(slot.first != slot.second for slot in slots)
    shares = Counter(name for slot in slots for name in (slot.first, slot.second))
    assert set(shares) == set(APPS)
    assert set(shares.values()) == {6}
