"""Members by hearsay alone: each is dialled once, again by a common budget, and few at a time."""

from __future__ import annotations

from hermes_core.ids import NodeId
from hermes_core.mesh.machine import Member
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_node.mesh.unmet import DIALS_AT_ONCE, LOST_AT_ONCE, MAX_RETRIES, RETRIES_A_SECOND, UnmetMembers

NAMES = [NodeId(f"n{index}") for index in range(10 * DIALS_AT_ONCE)]


def dial(strangers: UnmetMembers, name: NodeId, now: float) -> bool:
    """A dial that fails at once, if there is one."""
    began = strangers.begin_dial(name, now)
    strangers.end_dial(name)
    return began


def lost(name: NodeId) -> Member:
    return Member(NodeDescriptor(name, b"", f"{name}:1", 1, "", b""), MemberState.DEAD, 1, heard_at=0, changed_at=0)


def test_each_is_dialled_once_and_again_by_a_common_budget() -> None:
    strangers = UnmetMembers(0)
    assert all(dial(strangers, name, 0) for name in NAMES)
    assert sum(dial(strangers, name, 0) for name in NAMES) == MAX_RETRIES
    assert sum(dial(strangers, name, 2) for name in NAMES) == 2 * RETRIES_A_SECOND


def test_few_are_dialled_at_a_time() -> None:
    strangers = UnmetMembers(0)
    assert sum(strangers.begin_dial(name, 0) for name in NAMES) == DIALS_AT_ONCE
    strangers.end_dial(NAMES[0])
    assert [strangers.begin_dial(name, 0) for name in NAMES[-2:]] == [True, False]


def test_who_proved_itself_has_no_budget() -> None:
    strangers = UnmetMembers(0)
    for name in NAMES:
        strangers.begin_dial(name, 0)
    strangers.meet(NAMES[-1])
    assert all(strangers.begin_dial(NAMES[-1], 0) for _ in range(3 * MAX_RETRIES))
    strangers.forget(NAMES[-1])
    assert not strangers.begin_dial(NAMES[-1], 0)


def test_of_lost_ones_all_that_were_met_are_asked_and_the_others_in_turns() -> None:
    strangers = UnmetMembers(0)
    members = [lost(name) for name in NAMES[:7]]
    strangers.meet(NAMES[3])
    asked: set[NodeId] = set()
    for _ in range(3):
        names = [member.descriptor.node_id for member in strangers.choose_lost(members)]
        assert (names[0], len(names)) == (NAMES[3], 1 + LOST_AT_ONCE)
        asked |= set(names)
    assert asked == set(NAMES[:7])
    assert strangers.choose_lost([]) == []
