"""AppChats as a router: who is meant, what an ended chat leaves behind, and settling when output is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.endpoint.events import ChatEnded, FrameRefused, PathChanged
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import DECISIONS_MS, MAX_REMEMBERED_ENDS, AppChats
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import ChatId, NodeId, derive_app_id, node_party
from hermes_core.protocol.messages import Closed, ClosedAck, CloseReason, Delete, MoveOffer, MoveWanted, PathState, Sealed
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_stream_keys
from tests.unit.hermes_core.endpoint.parts import HOME, HOME_KEYS, NOW, OWN_KEY, PEER_KEY, FarEnds

PEER = derive_app_id(PEER_KEY.public_key)


def make_app(params: AppParams | None = None) -> AppChats:
    """An app at home at HOME."""
    app = AppChats(identity=OWN_KEY, params=params or AppParams(), random=SeededRandom("app"))
    app.connected(HOME.node_id, HOME.public_key, HOME_KEYS, NOW)
    return app


def make_app_with_chat() -> tuple[AppChats, ChatId, FarEnds]:
    app = make_app()
    chat_id = app.start_chat(PEER, NOW)
    far = FarEnds(chat_id)
    app.receive(far.answer(app.take_output().sends[-1]), NOW)
    far.take(app.take_output().sends[-1])
    return app, chat_id, far


def test_an_ended_chat_is_gone_before_the_next_input() -> None:
    app, chat_id, far = make_app_with_chat()
    app.receive(Closed(chat_id, CloseReason.EXPIRED), NOW)
    app.receive(far.seal(1, b"x"), NOW)
    with pytest.raises(ProtocolError) as raised:
        app.send(chat_id, b"x", NOW)
    assert raised.value.code is ErrorCode.CHAT_NOT_FOUND
    output = app.take_output()
    assert output.events == [ChatEnded(chat_id, CloseReason.EXPIRED), FrameRefused(chat_id, ErrorCode.CHAT_NOT_FOUND)]
    assert output.sends == [ClosedAck(chat_id, CloseReason.EXPIRED)]
    assert not app.chats


def test_the_timer_of_an_ended_chat_is_nobodys() -> None:
    app, chat_id, _ = make_app_with_chat()
    app.delete(chat_id, NOW)
    app.handle_timer(NOW + 10_000)
    assert [type(sent) for sent in app.take_output().sends] == [Delete]
    assert app.next_timer() is None


def test_a_delete_carries_the_word_of_the_app_that_only_the_other_can_check() -> None:
    """Also when it is said again, to a node that was away; of a chat that this app never had it says that it cannot go on."""
    app, chat_id, far = make_app_with_chat()
    app.disconnected(NOW)
    app.delete(chat_id, NOW)
    assert not app.take_output().sends
    app.connected(HOME.node_id, HOME.public_key, HOME_KEYS, NOW)
    app.take_output()
    app.receive(PathState(chat_id, up=False), NOW)
    app.receive(MoveWanted(ChatId(bytes(16))), NOW)
    first, second = app.take_output().sends
    assert isinstance(first, Delete)
    assert not first.failed
    assert far.end_to_end.is_end(first.proofs)
    assert not far.end_to_end.is_end(far.end_to_end.prove_end()), "its own word"
    assert second == Delete(ChatId(bytes(16)), failed=True)


@pytest.mark.parametrize(
    ("reason", "proven", "over"),
    [
        (CloseReason.DELETED_BY_PEER, True, True),
        (CloseReason.DELETED_BY_PEER, False, False),
        (CloseReason.DELETED, True, True),
        (CloseReason.DELETED, False, False),
        (CloseReason.NODE_SHUTDOWN, False, False),
        (CloseReason.ROUTE_UNAVAILABLE, False, False),
        (CloseReason.EXPIRED, False, True),
        (CloseReason.RATCHET_FAILED, False, True),
    ],
)
@pytest.mark.parametrize("forged", [False, True])
def test_a_delete_that_the_other_app_did_not_prove_is_a_home_that_is_lost(
    reason: CloseReason, proven: bool, over: bool, forged: bool
) -> None:
    app, chat_id, far = make_app_with_chat()
    proofs = far.end_to_end.prove_end()
    if forged:
        proofs = tuple(replace(proof, tag=bytes(16)) for proof in proofs)
    app.receive(Closed(chat_id, reason, proofs if proven or forged else ()), NOW)
    output = app.take_output()
    assert ClosedAck(chat_id, reason) in output.sends
    ended = over and not (forged and proven)
    events = [type(event) for event in output.events if not isinstance(event, PathChanged)]
    assert events == [ChatEnded if ended else FrameRefused]
    assert [isinstance(sent, MoveOffer) for sent in output.sends] == ([False] if ended else [False, True])
    assert (chat_id in app.chats) is not ended


@pytest.mark.parametrize("reason", [CloseReason.DELETED, CloseReason.DELETED_BY_PEER])
def test_an_app_believes_its_own_word_of_a_delete_that_its_store_has_forgotten(reason: CloseReason) -> None:
    """A store that was put back holds a chat that the app deleted since; the node's tombstone has the proof of it."""
    app, chat_id, _ = make_app_with_chat()
    proofs = app.chats[chat_id].end_to_end.prove_end()
    app.receive(Closed(chat_id, reason, proofs), NOW)
    output = app.take_output()
    assert [event.reason for event in output.events if isinstance(event, ChatEnded)] == [CloseReason.DELETED]
    assert output.sends == [ClosedAck(chat_id, reason)]
    assert chat_id not in app.chats


def test_an_ended_chat_makes_room_at_once() -> None:
    app = make_app(AppParams(max_chats=1))
    chat_id = app.start_chat(PEER, NOW)
    with pytest.raises(ProtocolError) as raised:
        app.start_chat(PEER, NOW)
    assert raised.value.code is ErrorCode.LIMIT_EXCEEDED
    assert raised.value.retry_after_ms == DECISIONS_MS, "the offer may come to nothing"
    app.delete(chat_id, NOW)
    app.start_chat(PEER, NOW)


def test_the_latest_ends_are_remembered_and_no_more() -> None:
    app = make_app()
    ids = []
    for _ in range(MAX_REMEMBERED_ENDS + 1):
        ids.append(app.start_chat(PEER, NOW))
        app.disconnected(NOW)
        app.connected(HOME.node_id, HOME.public_key, HOME_KEYS, NOW)
    app.take_output()
    for chat_id, code in ((ids[0], None), (ids[1], ErrorCode.CHAT_EXISTS), (ids[-1], ErrorCode.CHAT_EXISTS)):
        app.receive(FarEnds(chat_id).offer(), NOW)
        refused = [event.code for event in app.take_output().events if isinstance(event, FrameRefused)]
        assert refused == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("name", "key"), [("node-9", HOME.public_key), (HOME.node_id, bytes(32))], ids=["another name", "another key"]
)
def test_another_node_has_no_say(name: str, key: bytes) -> None:
    """Nor has one of the home's name: whoever answers the dial with a key of its own ends nothing."""
    app, chat_id, far = make_app_with_chat()
    app.connected(NodeId(name), key, make_stream_keys(b"2" * 32, dialled=True), NOW)
    output = app.take_output()
    assert not [event for event in output.events if isinstance(event, ChatEnded)]
    assert not output.sends
    app.receive(replace(FarEnds(chat_id).offer(), end_to_end=KeyStatement(2, 1, b"\x01", bytes(32), b"", bytes(64))), NOW)
    assert not app.take_output().sends, "what its home holds is not deleted elsewhere"
    for message in (Closed(chat_id, CloseReason.DELETED), PathState(chat_id, up=True), far.seal(1, b"x")):
        app.receive(message, NOW)
    output = app.take_output()
    assert output.sends == [ClosedAck(chat_id, CloseReason.DELETED)]
    assert output.events == [FrameRefused(chat_id, ErrorCode.CHAT_NOT_FOUND)]
    app.delete(chat_id, NOW)
    assert app.take_output().sends == [], "what only its home could understand is not said to another node"


def test_settled_once_for_all_that_came_together() -> None:
    app, chat_id, far = make_app_with_chat()
    for seq in (1, 2, 3):
        app.receive(far.seal(seq, b"x"), NOW)
        app.acknowledge(chat_id, seq, NOW)
    assert [type(message) for message in app.take_output().sends] == [Sealed]
    assert app.take_output().sends == []
    assert app.next_timer() == app.chats[chat_id].next_timer()


def test_a_home_stream_names_its_party_once() -> None:
    """Every message that comes in is held against it, and a fingerprint is a hash and an encoding: 8 µs."""
    assert HOME.party is HOME.party
    assert HOME.party == node_party(HOME.node_id, HOME.public_key)
