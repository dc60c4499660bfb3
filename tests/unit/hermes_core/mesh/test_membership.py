"""Membership: introduction, suspicion and death by silence, refutation, the directory, identity conflicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.renewal import build_renewal
from hermes_core.ids import MAX_POSITION, NodeId, derive_app_id, node_party
from hermes_core.mesh.descriptor import sign_descriptor, verify_descriptor
from hermes_core.mesh.lies import LiarNamed, Lie
from hermes_core.mesh.machine import (
    MAX_FORMER_KEYS,
    MAX_OUTBID,
    IdentityConflict,
    IdentityRenewed,
    IncarnationRaised,
    MemberDescribed,
    MemberEvicted,
    Membership,
    MemberStateChanged,
)
from hermes_core.mesh.messages import MemberClaim, MembershipUpdate, MemberState, NodeDescriptor
from hermes_core.mesh.params import MeshParams
from tests.support.claims import make_claim
from tests.support.renewals import FORGERIES

PARAMS = MeshParams(heartbeat_interval_s=1, suspect_after_s=3, dead_after_s=8, evict_after_s=60, max_members=4)
APPS = [Identity.generate() for _ in range(2)]
APP, OTHER = (derive_app_id(app.public_key) for app in APPS)
HOME = node_party(NodeId("b"), Identity.generate().public_key)
CLAIM, OTHER_CLAIM, LATER = make_claim(APPS[0], HOME, 1), make_claim(APPS[1], HOME, 2), make_claim(APPS[0], HOME, 3)


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
    a.mesh.receive_update(b.id, MembershipUpdate((claim(c.descriptor, MemberState.DEAD),)), 1)
    assert a.mesh.members[c.id].state is MemberState.ALIVE
    c.mesh.receive_update(a.id, MembershipUpdate((claim(c.descriptor, MemberState.DEAD),)), 1)
    assert IncarnationRaised(2) in c.mesh.take_output().events
    verify_descriptor(c.mesh.descriptor)
    assert c.mesh.descriptor.incarnation == 2


def test_one_word_cannot_use_up_the_incarnations_of_a_node() -> None:
    """They are signed with the node's key, but by whom one is claimed to be known nobody proves."""
    a, liar = Node("a"), Node("liar")
    link(a, liar, 0)
    for incarnation in (MAX_POSITION, MAX_POSITION - 1, MAX_OUTBID + 2):
        for state in (MemberState.ALIVE, MemberState.DEAD):
            lied = MemberClaim(a.descriptor, state, incarnation)
            a.mesh.receive_update(liar.id, MembershipUpdate((lied,)), 1)
    assert a.mesh.descriptor.incarnation == 1
    a.mesh.receive_update(liar.id, MembershipUpdate((MemberClaim(a.descriptor, MemberState.DEAD, MAX_OUTBID + 1),)), 1)
    assert a.mesh.descriptor.incarnation == MAX_OUTBID + 2


def test_a_node_refutes_once_in_a_heartbeat() -> None:
    a, liar = Node("a"), Node("liar")
    link(a, liar, 0)
    for now in (1.0, 1.1, 1.5, 1.99, 2.0):
        a.mesh.receive_update(liar.id, MembershipUpdate((claim(a.mesh.descriptor, MemberState.DEAD),)), now)
    assert a.mesh.descriptor.incarnation == 3


def test_who_passes_on_what_nobody_signed_is_named() -> None:
    a, liar, c = Node("a"), Node("liar"), Node("c")
    link(a, liar, 0)
    a.mesh.take_output()
    told = (claim(replace(c.descriptor, address="elsewhere:1")), claim(replace(c.descriptor, signature=bytes(64))))
    a.mesh.receive_update(liar.id, MembershipUpdate(told), 1)
    assert a.mesh.take_output().events == [LiarNamed(liar.id, Lie.SIGNATURE)], "once for all that came at once"
    a.mesh.receive_update(liar.id, MembershipUpdate((claim(c.descriptor),)), 1)
    assert not [event for event in a.mesh.take_output().events if isinstance(event, LiarNamed)]


def test_who_knows_more_members_than_fit_is_not_named() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    others = [Node(f"c{index}").descriptor for index in range(PARAMS.max_members + 1)]
    a.mesh.receive_update(b.id, MembershipUpdate(tuple(map(claim, others))), 1)
    assert len(a.mesh.members) == PARAMS.max_members
    assert not [event for event in a.mesh.take_output().events if isinstance(event, LiarNamed)]


def test_made_up_members_keep_nobody_out_who_comes_itself() -> None:
    a, liar = Node("a"), Node("liar")
    link(a, liar, 0)
    made_up = [Node(f"made-up-{index}") for index in range(PARAMS.max_members)]
    a.mesh.receive_update(liar.id, MembershipUpdate(tuple(claim(node.descriptor) for node in made_up)), 0)
    assert len(a.mesh.members) == PARAMS.max_members
    a.mesh.take_output()
    late = [Node(f"late-{index}") for index in range(PARAMS.max_members)]
    for node in late[:-1]:
        a.mesh.link_up(node.descriptor, 1)
    assert set(a.mesh.members) == {liar.id, *(node.id for node in late[:-1])}
    evicted = [event.node_id for event in a.mesh.take_output().events if isinstance(event, MemberEvicted)]
    assert evicted == [node.id for node in made_up[:-1]]
    with pytest.raises(ProtocolError, match="too many members"):
        a.mesh.link_up(late[-1].descriptor, 1)


def test_who_describes_itself_anew_is_told_of_with_its_addresses() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    heard_of = [event.descriptor for event in a.mesh.take_output().events if isinstance(event, MemberDescribed)]
    again = sign_descriptor(b.identity, node_id=b.id, address="b:2", incarnation=2, version="t", app_address="b.example:8443")
    a.mesh.link_up(again, 1)
    a.mesh.link_up(again, 2)
    heard_of += [event.descriptor for event in a.mesh.take_output().events if isinstance(event, MemberDescribed)]
    assert heard_of == [b.descriptor, again]
    b.mesh.receive_update(a.id, MembershipUpdate((claim(again, MemberState.DEAD),)), 1)
    assert b.mesh.descriptor.app_address == b.descriptor.app_address


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
            a.mesh.receive_update(b.id, MembershipUpdate((claim(again.descriptor),)), now)
        assert caught.value.code is ErrorCode.AUTH_FAILED
    assert a.mesh.members[b.id].state is MemberState.DEAD
    a.mesh.receive_update(b.id, MembershipUpdate((claim(again.descriptor),)), 20)
    assert a.mesh.members[b.id].descriptor == again.descriptor


def test_forged_descriptor_is_not_introduced_and_members_are_bounded() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    forged = replace(Node("c").descriptor, address="evil:1")
    a.mesh.receive_update(b.id, MembershipUpdate((claim(forged),)), 0)
    assert set(a.mesh.members) == {"b"}
    crowd = tuple(claim(Node(f"n{i}").descriptor) for i in range(5))
    a.mesh.receive_update(b.id, MembershipUpdate(crowd), 0)
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


def renewed(former: Node, *, incarnation: int = 2, renewals: bytes | None = None) -> Node:
    """The same name, with another key that took the former one's place."""
    node = Node(former.id, incarnation)
    said = build_renewal(former.identity, node.identity, former.id) if renewals is None else renewals
    node.descriptor = sign_descriptor(
        node.identity, node_id=node.id, address="b:1", incarnation=incarnation, version="t", renewals=said
    )
    return node


def test_a_key_that_the_former_one_signed_is_taken_for_a_live_name_and_the_former_one_never_again() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    again = renewed(b)
    a.mesh.link_down(b.id)
    a.mesh.take_output()
    a.mesh.link_up(again.descriptor, 1)
    events = a.mesh.take_output().events
    assert IdentityRenewed(b.id) in events
    assert IdentityConflict(b.id) not in events
    assert a.mesh.members[b.id].descriptor == again.descriptor
    a.mesh.link_down(b.id)
    a.mesh.handle_timer(20)
    assert a.mesh.members[b.id].state is MemberState.DEAD
    late = sign_descriptor(b.identity, node_id=b.id, address="b:1", incarnation=99, version="t")
    with pytest.raises(ProtocolError) as caught:
        a.mesh.link_up(late, 21)
    assert caught.value.code is ErrorCode.AUTH_FAILED
    assert a.mesh.members[b.id].descriptor == again.descriptor


def test_a_renewal_of_a_live_member_counts_from_itself_alone() -> None:
    """Who stole its key signs one to a key of its own: any member could pass it on, and the node's name were gone for good."""
    a, b, c = Node("a"), Node("b"), Node("c")
    link(a, b, 0)
    link(a, c, 0)
    a.mesh.take_output()
    again = renewed(b)
    a.mesh.receive_update(c.id, MembershipUpdate((claim(again.descriptor),)), 1)
    assert a.mesh.take_output().events == []
    a.mesh.receive_update(b.id, MembershipUpdate((claim(b.descriptor),)), 2)
    assert a.mesh.members[b.id].descriptor == b.descriptor
    a.mesh.link_down(b.id)
    a.mesh.handle_timer(20)
    a.mesh.receive_update(c.id, MembershipUpdate((claim(again.descriptor),)), 21)
    assert a.mesh.members[b.id].descriptor == again.descriptor


def test_nobody_renews_a_member_that_answers() -> None:
    """A node that renews its key does not run meanwhile; whoever comes with the certificate and the stolen key is not it."""
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    again = renewed(b)
    with pytest.raises(ProtocolError) as caught:
        a.mesh.link_up(again.descriptor, 1)
    assert caught.value.code is ErrorCode.AUTH_FAILED
    assert IdentityConflict(b.id) in a.mesh.take_output().events
    a.mesh.receive_update(b.id, MembershipUpdate((claim(b.descriptor),)), 2)
    assert a.mesh.members[b.id].descriptor == b.descriptor
    a.mesh.handle_timer(2 + PARAMS.suspect_after_s)  # its streams stand, and nothing comes on them
    a.mesh.link_up(again.descriptor, 6)
    assert a.mesh.members[b.id].descriptor == again.descriptor


def test_who_passes_a_descriptor_on_without_its_renewals_hides_no_former_key() -> None:
    a, b, c = Node("a"), Node("b"), Node("c")
    link(a, b, 0)
    link(a, c, 0)
    a.mesh.link_down(b.id)
    a.mesh.handle_timer(20)
    again = renewed(b)
    a.mesh.receive_update(c.id, MembershipUpdate((claim(replace(again.descriptor, renewals=b"")),)), 21)
    a.mesh.link_up(again.descriptor, 22)
    assert a.mesh.members[b.id].descriptor == again.descriptor
    a.mesh.link_down(b.id)
    a.mesh.handle_timer(40)
    late = sign_descriptor(b.identity, node_id=b.id, address="b:1", incarnation=99, version="t")
    with pytest.raises(ProtocolError):
        a.mesh.link_up(late, 41)
    assert a.mesh.members[b.id].descriptor == again.descriptor


def test_a_member_that_renews_without_end_is_refused_before_its_former_keys_are_many() -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    now = b
    for incarnation in range(2, MAX_FORMER_KEYS + 2):
        a.mesh.link_down(b.id)
        now = renewed(now, incarnation=incarnation)
        a.mesh.link_up(now.descriptor, 1)
    a.mesh.link_down(b.id)
    with pytest.raises(ProtocolError):
        a.mesh.link_up(renewed(now, incarnation=99).descriptor, 1)
    assert len(a.mesh.members[b.id].former_keys) == MAX_FORMER_KEYS
    a.mesh.link_up(now.descriptor, 2)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_renewal_that_is_none_takes_nobodys_name(forgery: str) -> None:
    a, b = Node("a"), Node("b")
    link(a, b, 0)
    thief = Node("b", 9)
    said = FORGERIES[forgery](b.id, b.identity, thief.identity)
    descriptor = sign_descriptor(thief.identity, node_id=b.id, address="b:1", incarnation=9, version="t", renewals=said)
    with pytest.raises(ProtocolError):
        a.mesh.link_up(descriptor, 1)
    assert a.mesh.members[b.id].descriptor == b.descriptor


def test_a_node_that_refutes_shows_its_renewals_again() -> None:
    a, b = Node("a"), Node("b")
    again = renewed(b)
    mesh = Membership(again.identity, again.descriptor, PARAMS, now=0)
    mesh.link_up(a.descriptor, 0)
    mesh.receive_update(a.id, MembershipUpdate((MemberClaim(again.descriptor, MemberState.DEAD, 2),)), 1)
    assert mesh.descriptor.incarnation == 3
    assert mesh.descriptor.renewals == again.descriptor.renewals
    assert verify_descriptor(mesh.descriptor) == {b.identity.public_key}
