"""Which of two links to one member stays, and that a dial is over with the link that came of it."""

from __future__ import annotations

import itertools

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_node.mesh.links import GossipLink
from hermes_node.mesh.swim_links import CROSSED_S, SwimLinks

KEYS = Identity.generate()


class End:
    """One of two nodes, with a clock that the test turns."""

    def __init__(self, own: str, other: str) -> None:
        self.now = 0.0
        self.other = NodeId(other)
        self.links = SwimLinks(NodeId(own), lambda: self.now)

    def meet(self, *, dialled: bool) -> GossipLink:
        described = sign_descriptor(KEYS, node_id=self.other, address="a:1", incarnation=1, version="2.0.0")
        link = GossipLink(described, dialled=dialled)
        if self.links.prevails(link):
            self.links.put(link)
        return link


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations((True, False))))
def test_of_two_that_were_dialled_at_once_both_ends_keep_that_of_the_lower_id(first: bool, second: bool) -> None:
    lower, higher = End("a", "b"), End("b", "a")
    for by_lower in (first, second):
        lower.meet(dialled=by_lower)
    for by_lower in (second, first):  # they come in another order there
        higher.meet(dialled=not by_lower)
    kept = lower.links.find(lower.other), higher.links.find(higher.other)
    assert [link.dialled for link in kept if link is not None] == [True, False]


def test_a_link_that_was_lost_at_its_other_end_gives_way_whoever_dialled_it() -> None:
    end = End("a", "b")
    end.meet(dialled=True)
    end.now = CROSSED_S
    newer = end.meet(dialled=False)
    assert end.links.holds(newer)
    again = end.meet(dialled=False)
    assert end.links.holds(again), "the same node dialled once more"
    assert not end.links.drop(newer)
    assert end.links.drop(again)
    assert end.other not in end.links


def test_a_dial_fails_unless_a_link_came_of_it_or_of_the_other_ends() -> None:
    end = End("b", "a")
    assert end.links.begin_dial(end.other)
    assert not end.links.begin_dial(end.other)
    assert end.links.end_dial(end.other)
    assert end.links.begin_dial(end.other)
    end.meet(dialled=False)
    assert not end.links.end_dial(end.other)
