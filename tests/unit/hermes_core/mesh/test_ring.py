"""The hash ring: the same holders for everybody, an even share, and few that change when a member comes or goes."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from hermes_core.ids import NodeId
from hermes_core.mesh.ring import HashRing

NODES = [NodeId(f"node-{index}") for index in range(40)]
KEYS = [f"key {index}".encode() for index in range(2000)]


def test_who_knows_the_same_members_names_the_same_holders_however_they_came_to_know() -> None:
    shuffled = random.Random(7).sample(NODES, len(NODES))
    grown = HashRing()
    for known in range(1, len(shuffled) + 1):
        grown.set_members([*shuffled[:known], NodeId("gone-by-then")])
    grown.set_members(shuffled)
    whole = HashRing(NODES)
    assert [grown.find(key, 3) for key in KEYS] == [whole.find(key, 3) for key in KEYS]


def test_holders_are_different_members_and_never_the_one_left_out() -> None:
    ring = HashRing(NODES)
    for key in KEYS:
        holders = ring.find(key, 3, without=NODES[0])
        assert len(set(holders)) == 3
        assert NODES[0] not in holders


@pytest.mark.parametrize("members", range(4))
def test_a_small_mesh_has_as_many_holders_as_it_has_members(members: int) -> None:
    ring = HashRing(NODES[:members])
    assert sorted(ring.find(b"key", 3)) == sorted(NODES[:members])
    assert sorted(ring.find(b"key", 3, without=NODES[0])) == sorted(NODES[1:members])


def test_members_hold_about_their_share() -> None:
    ring = HashRing(NODES)
    held = Counter(holder for key in KEYS for holder in ring.find(key, 3))
    share = 3 * len(KEYS) / len(NODES)
    assert min(held.values()) > share / 2
    assert max(held.values()) < share * 2


def test_a_member_that_goes_moves_only_what_it_held() -> None:
    ring = HashRing(NODES)
    before = {key: ring.find(key, 3) for key in KEYS}
    ring.set_members(NODES[1:])
    for key, holders in before.items():
        kept = [holder for holder in holders if holder != NODES[0]]
        assert list(ring.find(key, 3)[: len(kept)]) == kept


def test_only_a_change_is_one() -> None:
    ring = HashRing(NODES)
    assert not ring.set_members(reversed(NODES))
    assert ring.set_members(NODES[1:])
    assert ring.members == frozenset(NODES[1:])
