"""First offers to apps of nodes that no stream leads to: they wait for one where it is dialled on demand, and not for ever."""

from __future__ import annotations

from dataclasses import replace

from hermes_core.ids import AppId, NodeId
from hermes_core.relay.neighbour import Link, app_neighbour
from hermes_core.relay.route_waits import MAX_WAITING_OF_ONE, PATIENCE_S, RouteWaits
from hermes_core.session.keys import StreamKeys
from tests.support.control_samples import APP, CONTROL_SAMPLES

NODE, OTHER = NodeId("node-1"), NodeId("node-2")
OFFER = CONTROL_SAMPLES["Offer"]


def make_link(stream: int = 1) -> Link:
    return Link(app_neighbour(APP), stream, b"k" * 32, StreamKeys(b"b" * 32, b"s" * 12, b"r" * 12), 0.0)


def test_offers_wait_for_their_node_and_for_a_while() -> None:
    waits, link = RouteWaits(), make_link()
    later = replace(OFFER, chat_id=b"c" * 16)
    assert waits.hold(NODE, link, OFFER, 0.0)
    assert waits.hold(OTHER, link, later, 1.0)
    assert [waiting.offer for waiting in waits.take(NODE)] == [OFFER]
    assert waits.take(NODE) == []
    assert waits.next_due() == 1.0 + PATIENCE_S
    assert waits.take_due(PATIENCE_S) == []
    assert [waiting.offer for waiting in waits.take_due(1.0 + PATIENCE_S)] == [later]
    assert waits.next_due() is None


def test_one_stream_has_so_many_wait_for_a_node() -> None:
    waits, link = RouteWaits(), make_link()
    held = [waits.hold(NODE, link, OFFER, 0.0) for _ in range(MAX_WAITING_OF_ONE + 1)]
    assert held == [True] * MAX_WAITING_OF_ONE + [False]
    assert waits.hold(NODE, make_link(2), OFFER, 0.0)


def test_an_offer_that_is_withdrawn_waits_no_more_and_others_do() -> None:
    waits, link = RouteWaits(), make_link()
    later = replace(OFFER, chat_id=b"c" * 16)
    for node_id, offer in ((NODE, OFFER), (NODE, later), (NODE, OFFER), (OTHER, OFFER)):
        assert waits.hold(node_id, link, offer, 0.0)
    assert not waits.withdraw(app_neighbour(AppId("b" * 32)), OFFER.chat_id), "somebody else's"
    assert waits.withdraw(link.neighbour, OFFER.chat_id)
    assert not waits.withdraw(link.neighbour, OFFER.chat_id)
    assert [waiting.offer for waiting in waits.take(NODE)] == [later]
    assert waits.take(OTHER) == []
    assert not waits.withdraw(link.neighbour, later.chat_id), "it was taken"
    assert waits.next_due() is None
