"""Membership: introduction, suspicion and death by silence, refutation, the directory, identity conflicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.descriptor import sign_descriptor, verify_descriptor
from hermes_core.mesh.machine import (
    DirectoryChanged,
    IdentityConflict,
    IncarnationRaised,
    Membership,
    MemberStateChanged,
)
from hermes_core.mesh.messages import DirectoryEntry, MemberClaim, MembershipUpdate, MemberState, NodeDescriptor
from hermes_core.mesh.params import MeshParams

PARAMS = MeshParams(heartbeat_interval_s=1, suspect_after_s=3, dead_after_s=8, evict_after_s=60, max_members=4)
APP = AppId("a" * 32)


class Node:
    """A membership with its identity."""

    def __init__(self, name: str, incarnation: int = 1, identity: Identity | None = None) -> None:
        self.id = NodeId(name)
        self.identity = identity or Identity.generate()
        self.descriptor = sign_descriptor(
            self.identity, node_id=self.id, address=f"{name}:1", incarnation=incarnation, version="t"
        )
        self.mesh = Membership(self.identity, self.descriptor, PARAMS, now=0)


def claim(descriptor: NodeDescriptor, state: MemberState = MemberState.ALIVE) -> MemberClaim:
    return MemberClaim(descriptor, state, descriptor.incarnation)


def deliver(nodes: dict[NodeId, Node], now: float) -> None:
    """Carry updates until nobody has anything to say."""
    busy = True
    while busy:
        busy = False
        for node in nodes.values():
            for send in node.mesh.take_output().sends:
                if send.node_id in nodes:
                    nodes[send.node_id].mesh.receive_update(node.id, send.update, now)
                    busy = True


def link(a: Node, b: Node, now: float) -> None:
    a.mesh.link_up(b.mesh.descriptor, now)
    b.mesh.link_up(a.mesh.descriptor, now)


def test_hearsay_introduces_a_node_and_the_lower_id_dials() -> None:
    a, b, c = Node("a"), Node("b"), Node("c")
    link(a, b, 0)
    link(b, c, 0)
    b.mesh.handle_timer(1)  # the heartbeat in which b tells a of c
    deliver({n.id: n for n in (a, b, c)}, 1)
    assert set(a.mesh.members) == {"b", "c"}
    assert [d.node_id for d in a.mesh.wanted_links()] == ["c"]
    assert c.mesh.wanted_links() == []
    assert a.mesh.count(MemberState.ALIVE) == 3


def test_silence_makes_suspect_then_dead_then_forgotten() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    a.mesh.take_output()
    a.mesh.handle_timer(2.9)
    assert a.mesh.members[b.id].state is MemberState.ALIVE
    a.mesh.handle_timer(4)
    assert a.mesh.members[b.id].state is MemberState.SUSPECT
    a.mesh.receive_heard(b.id, 4.5)
    assert a.mesh.members[b.id].state is MemberState.ALIVE
    a.mesh.link_down(b.id)
    for now in (8, 13):
        a.mesh.handle_timer(now)
    assert a.mesh.members[b.id].state is MemberState.DEAD
    a.mesh.handle_timer(13 + 60)
    assert b.id not in a.mesh.members


def test_second_hand_death_is_not_believed_but_refuted_by_its_subject() -> None:
    a, b, c = Node("a"), Node("b"), Node("c")
    link(a, b, 0)
    a.mesh.link_up(c.descriptor, 0)
    c.mesh.link_up(a.descriptor, 0)
    for node in (a, c):
        node.mesh.take_output()
    a.mesh.receive_update(b.id, MembershipUpdate((claim(c.descriptor, MemberState.DEAD),), ()), 1)
    assert a.mesh.members[c.id].state is MemberState.ALIVE
    c.mesh.receive_update(a.id, MembershipUpdate((claim(c.descriptor, MemberState.DEAD),), ()), 1)
    assert IncarnationRaised(2) in c.mesh.take_output().events
    verify_descriptor(c.mesh.descriptor)
    assert c.mesh.descriptor.incarnation == 2


def test_directory_counts_only_from_its_own_node_and_dies_with_it() -> None:
    a, b, c = Node("a"), Node("b"), Node("c")
    link(a, b, 0)
    forged = DirectoryEntry(c.id, 9, 9, frozenset({APP}))
    a.mesh.receive_update(b.id, MembershipUpdate((claim(c.descriptor),), (forged,)), 0)
    assert a.mesh.locations() == {}
    b.mesh.set_local_apps(frozenset({APP}))
    deliver({a.id: a, b.id: b}, 0)
    assert a.mesh.locations() == {APP: b.id}
    a.mesh.handle_timer(20)
    assert a.mesh.locations() == {}
    assert DirectoryChanged() in a.mesh.take_output().events


def test_a_dead_node_that_is_heard_again_brings_its_directory_back() -> None:
    a, b = Node("a"), Node("b")
    b.mesh.set_local_apps(frozenset({APP}))
    link(a, b, 0)
    deliver({a.id: a, b.id: b}, 0)
    a.mesh.link_down(b.id)
    a.mesh.handle_timer(20)
    link(a, b, 21)
    deliver({a.id: a, b.id: b}, 21)
    assert a.mesh.locations() == {APP: b.id}


def test_leaving_is_told_by_the_node_itself_only() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    deliver({a.id: a, b.id: b}, 0)
    b.mesh.leave()
    deliver({a.id: a, b.id: b}, 1)
    assert a.mesh.members[b.id].state is MemberState.LEFT
    assert b.mesh.count(MemberState.LEFT) == 1


def test_another_key_under_a_live_name_is_refused_and_reported() -> None:
    a, b, thief = Node("a"), Node("b"), Node("b", incarnation=99)
    link(a, b, 0)
    with pytest.raises(ProtocolError) as caught:
        a.mesh.link_up(thief.descriptor, 1)
    assert caught.value.code is ErrorCode.AUTH_FAILED
    assert IdentityConflict(b.id) in a.mesh.take_output().events
    assert a.mesh.members[b.id].descriptor == b.descriptor
    a.mesh.link_down(b.id)
    a.mesh.handle_timer(20)
    a.mesh.link_up(thief.descriptor, 21)  # the old one is dead: the name is free
    assert a.mesh.members[b.id].descriptor == thief.descriptor


def test_who_knocks_under_a_dead_node_s_name_does_not_keep_it_alive() -> None:
    """A node that lost its volume has another key; it is taken in when the old one has been silent for long enough."""
    a, b, again = Node("a"), Node("b"), Node("b")
    link(a, b, 0)
    a.mesh.link_down(b.id)
    for now in range(1, 20):
        a.mesh.handle_timer(now)
        if a.mesh.members[b.id].state is MemberState.DEAD:
            break
        with pytest.raises(ProtocolError) as caught:
            a.mesh.receive_update(b.id, MembershipUpdate((claim(again.descriptor),), ()), now)
        assert caught.value.code is ErrorCode.AUTH_FAILED
    assert a.mesh.members[b.id].state is MemberState.DEAD
    a.mesh.receive_update(b.id, MembershipUpdate((claim(again.descriptor),), ()), 20)
    assert a.mesh.members[b.id].descriptor == again.descriptor


def test_forged_descriptor_is_not_introduced_and_members_are_bounded() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    forged = replace(Node("c").descriptor, address="evil:1")
    a.mesh.receive_update(b.id, MembershipUpdate((claim(forged),), ()), 0)
    assert set(a.mesh.members) == {"b"}
    crowd = tuple(claim(Node(f"n{i}").descriptor) for i in range(5))
    a.mesh.receive_update(b.id, MembershipUpdate(crowd, ()), 0)
    assert len(a.mesh.members) == PARAMS.max_members


def test_restart_with_higher_incarnation_is_alive_at_once() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    a.mesh.link_down(b.id)
    a.mesh.handle_timer(20)
    a.mesh.take_output()
    again = Node("b", incarnation=2, identity=b.identity)
    a.mesh.link_up(again.descriptor, 21)
    assert MemberStateChanged(b.id, MemberState.DEAD, MemberState.ALIVE) in a.mesh.take_output().events
