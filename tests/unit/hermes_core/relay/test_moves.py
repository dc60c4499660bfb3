"""Moves: a chat goes on when its home is lost for good; nothing is lost, doubled or reordered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.crypto.suites import Suite
from hermes_core.endpoint.events import ChatEnded, PathChanged
from hermes_core.endpoint.hop import HopState
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.handshake.move import SignedMove
from hermes_core.ids import AppId, ChannelKind, ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.protocol import messages as m
from hermes_core.ratchet.end_proof import EndProof
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay.admission import Admission
from hermes_core.relay.candidates import MAX_LATE
from hermes_core.relay.events import MessageRefused
from hermes_core.relay.params import ChatParams
from hermes_core.relay.rows import ChatIndex
from tests.support.claims import tell_apps
from tests.support.moving_mesh import MovingMesh

pytestmark = pytest.mark.usefixtures("either_way")


def numbered(prefix: str, start: int, end: int) -> list[bytes]:
    return [f"{prefix}{index}".encode() for index in range(start, end)]


def begin_chat(*homes: str, nodes: int = 4) -> tuple[MovingMesh, ChatId]:
    """Alice and Bob at home there, with a chat in which nothing was said yet."""
    mesh = MovingMesh(nodes)
    for name, home in zip(("alice", "bob"), homes, strict=True):
        mesh.connect(name, home)
    mesh.settle()
    return mesh, mesh.start_chat()


def open_chat(*homes: str, nodes: int = 4) -> tuple[MovingMesh, ChatId]:
    """The same with some messages each way."""
    mesh, chat_id = begin_chat(*homes, nodes=nodes)
    mesh.say("alice", chat_id, *numbered("a", 0, 3))
    mesh.say("bob", chat_id, *numbered("b", 0, 3))
    mesh.settle()
    return mesh, chat_id


def check_flows(mesh: MovingMesh, chat_id: ChatId, until: int) -> None:
    """Everything that was said so far came once and in order; more does, both ways."""
    mesh.say("alice", chat_id, *numbered("a", until, until + 3))
    mesh.say("bob", chat_id, *numbered("b", until, until + 3))
    mesh.settle()
    assert mesh.apps["bob"].contents() == numbered("a", 0, until + 3)
    assert mesh.apps["alice"].contents() == numbered("b", 0, until + 3)
    for app in mesh.apps.values():
        assert app.chats.chats[chat_id].hop.state is HopState.OPEN


def test_a_chat_goes_on_at_another_node_when_its_home_is_lost_for_good() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.settle()
    mesh.say("alice", chat_id, *numbered("a", 3, 6))
    mesh.say("bob", chat_id, *numbered("b", 3, 6))
    mesh.settle()
    assert mesh.apps["bob"].contents() == numbered("a", 0, 3)
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 6)
    assert not any(isinstance(event, ChatEnded) for app in mesh.apps.values() for event in app.events)
    assert mesh.apps["alice"].chats.chats[chat_id].leg.peer.startswith("node:node-2:")


@pytest.mark.parametrize("homes", [("node-0", "node-1"), ("node-0", "node-0")], ids=["apart", "together"])
@pytest.mark.parametrize("targets", [("node-2", "node-3"), ("node-3", "node-2"), ("node-2", "node-2")])
def test_both_homes_are_lost_at_once(homes: tuple[str, str], targets: tuple[str, str]) -> None:
    mesh, chat_id = open_chat(*homes)
    for home in sorted(set(homes)):
        mesh.kill(home)
    mesh.say("alice", chat_id, *numbered("a", 3, 6))
    mesh.connect("alice", targets[0], move=True)
    mesh.settle()
    mesh.say("bob", chat_id, *numbered("b", 3, 6))
    mesh.connect("bob", targets[1], move=True)
    mesh.settle()
    mesh.advance(10.0)
    check_flows(mesh, chat_id, 6)


@pytest.mark.parametrize("targets", [("node-2", "node-3"), ("node-3", "node-2")])
def test_tielines_that_cross_are_settled_alike_on_both_sides(targets: tuple[str, str]) -> None:
    """Each new home offers its tieline before it has read the other's."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.kill("node-1")
    mesh.connect("alice", targets[0], move=True)
    mesh.connect("bob", targets[1], move=True)
    while mesh.queue:  # legs are answered, and nobody's timer has come
        mesh.deliver()
    assert not mesh.messages(m.MoveAnswer, "node-2")[1:]
    mesh.settle()
    assert {by for by, _, message in mesh.seen if isinstance(message, m.MoveOffer)} >= {"node-2", "node-3"}
    check_flows(mesh, chat_id, 3)


def test_an_app_moves_to_its_peers_home_and_no_tieline_is_left() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.connect("alice", "node-1", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    assert mesh.nodes["node-1"].chats.live_tieline_chats() == 0


def test_an_app_leaves_a_home_that_lives_and_that_hears_of_it() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    assert chat_id not in mesh.nodes["node-0"].records
    assert mesh.nodes["node-0"].tombstones == {}


def test_a_leg_is_renewed_at_the_same_node_when_that_lost_its_store() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.nodes["node-0"].records.clear()
    mesh.restart("node-0")
    mesh.settle()
    assert any(isinstance(event, PathChanged) and not event.up for event in mesh.apps["bob"].events)
    mesh.connect("alice", "node-0")
    mesh.settle()
    mesh.advance(10.0)
    check_flows(mesh, chat_id, 3)


# what survives


def test_a_new_home_keeps_the_move_and_looks_on_after_a_restart() -> None:
    """The other app is away when the first one moves: nobody knows where it will be."""
    mesh, chat_id = open_chat("node-0", "node-0")
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.kill("node-2")
    mesh.restart("node-2")
    mesh.connect("alice", "node-2")
    mesh.settle()
    mesh.connect("bob", "node-3", move=True)
    mesh.settle()
    mesh.advance(10.0)
    check_flows(mesh, chat_id, 3)


def test_a_moved_chat_is_resumed_at_its_new_home_like_any_other() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    for name in ("node-2", "node-1"):
        mesh.kill(name)
        mesh.restart(name)
        mesh.connect(*(("alice", name) if name == "node-2" else ("bob", name)))
        mesh.settle()
    check_flows(mesh, chat_id, 6)
    assert mesh.apps["alice"].chats.chats[chat_id].moving.number == 1


def test_a_peer_that_was_away_is_found_when_it_is_back_at_its_home() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.disconnect("bob")
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.say("alice", chat_id, *numbered("a", 3, 6))
    mesh.advance(100.0)
    mesh.connect("bob", "node-1")
    mesh.settle()
    mesh.say("bob", chat_id, *numbered("b", 3, 6))
    mesh.settle()
    check_flows(mesh, chat_id, 6)


def test_a_former_home_that_is_back_hears_of_the_move_and_lets_go() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.restart("node-0")
    mesh.settle()
    assert mesh.messages(m.Moved, "node-1")
    assert chat_id not in mesh.nodes["node-0"].records
    check_flows(mesh, chat_id, 3)


def test_the_former_leg_is_taken_up_again_when_the_new_home_was_never_proven() -> None:
    """Nothing of the other app has come over the new leg: the peer's home never heard of the move."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("node-2", m.MoveOffer))
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    chat = mesh.apps["alice"].chats.chats[chat_id]
    assert chat.leg.peer.startswith("node:node-2:")
    assert chat.moving.unproven
    mesh.kill("node-2")
    mesh.restart("node-0")
    mesh.connect("alice", "node-0")
    mesh.settle()
    assert chat.leg.peer.startswith("node:node-0:")
    check_flows(mesh, chat_id, 3)


@pytest.mark.parametrize("dropped", [m.MoveAnswer, m.Confirm], ids=lambda kind: kind.__name__)
def test_the_old_hop_stands_until_the_new_one_is_confirmed_and_what_was_lost_is_made_again(dropped: type) -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    lost = ("node-1", dropped) if dropped is m.MoveAnswer else ("node-2", dropped)
    mesh.lost.add(lost)
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    chat = mesh.nodes["node-1"].chats._chats.by_id[chat_id]
    assert chat.hops[0].neighbour.node_id == "node-0"
    assert chat_id in mesh.nodes["node-0"].records
    mesh.lost.clear()
    mesh.link("node-1", "node-2")
    mesh.settle()
    mesh.advance(31.0)
    mesh.advance(31.0)
    check_flows(mesh, chat_id, 3)
    assert mesh.apps["alice"].chats.chats[chat_id].moving.number == 1


# numbers, and what is not authentic


def last_offer(mesh: MovingMesh, sender: str) -> m.MoveOffer:
    offer = mesh.messages(m.MoveOffer, sender)[-1]
    assert isinstance(offer, m.MoveOffer)
    return offer


def test_a_move_that_was_overtaken_is_answered_with_the_highest_and_its_node_lets_go() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("node-2", m.MoveOffer))
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.connect("alice", "node-3", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    mesh.lost.clear()
    assert chat_id in mesh.nodes["node-2"].records
    mesh.link("node-1", "node-2")
    mesh.advance(31.0)
    mesh.advance(31.0)
    assert chat_id not in mesh.nodes["node-2"].records
    check_flows(mesh, chat_id, 6)


def inject(mesh: MovingMesh, sender: str, receiver: str, message: m.ChatMessage) -> list[m.ChatMessage]:
    """Hand a node a message of a neighbour; what it answers there."""
    mesh.reach(sender, receiver)
    before = len(mesh.seen)
    node = mesh.nodes[receiver]
    node.chats.receive(mesh._neighbour(sender), message, mesh.now)
    mesh._collect_node(node)
    return [sent for by, to, sent in mesh.seen[before:] if (by, to) == (receiver, sender)]


def refusals(answers: list[m.ChatMessage]) -> list[ErrorCode]:
    assert all(isinstance(answer, m.ErrorNotice) for answer in answers), answers
    return [answer.code for answer in answers if isinstance(answer, m.ErrorNotice)]


CHANGES: dict[str, Callable[[SignedMove], SignedMove]] = {
    "signature": lambda move: replace(move, signature=bytes(64)),
    "number": lambda move: replace(move, number=move.number + 1),
    "leg": lambda move: replace(move, leg_hash=bytes(32)),
    "peer": lambda move: replace(move, peer=AppId("a" * 32)),
    "mover": lambda move: replace(move, mover_key=Identity.generate().public_key),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_move_that_the_app_did_not_sign_so_moves_nothing(change: str) -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("node-2", m.MoveOffer))
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    offer = last_offer(mesh, "node-2")
    records = dict(mesh.nodes["node-1"].records)
    forged = replace(offer, move=CHANGES[change](offer.move))
    assert refusals(inject(mesh, "node-2", "node-1", forged)) == [ErrorCode.AUTH_FAILED]
    assert refusals(inject(mesh, "node-3", "node-1", offer)) == [ErrorCode.AUTH_FAILED], "of another home than it names"
    assert mesh.nodes["node-1"].records == records
    inject(mesh, "node-2", "node-1", m.Moved(chat_id, forged.move))
    inject(mesh, "node-2", "node-0", m.Moved(chat_id, forged.move))
    assert mesh.nodes["node-1"].records == records
    assert chat_id in mesh.nodes["node-0"].records
    assert isinstance(inject(mesh, "node-2", "node-1", offer)[0], m.MoveAnswer)


def test_a_leg_must_be_the_one_that_the_move_names() -> None:
    mesh, _ = open_chat("node-0", "node-1")
    mesh.lost.add(("alice", m.MoveOffer))
    mesh.connect("alice", "node-2", move=True)
    offer = last_offer(mesh, "alice")
    other = replace(offer.hop, order=offer.hop.order + 1)
    assert refusals(inject(mesh, "alice", "node-2", replace(offer, hop=other))) == [ErrorCode.AUTH_FAILED]
    assert refusals(inject(mesh, "node-1", "node-2", offer)) == [ErrorCode.CHAT_NOT_FOUND]
    assert not mesh.nodes["node-2"].records
    mesh.connect("alice", "node-3")
    assert refusals(inject(mesh, "alice", "node-3", offer)) == [ErrorCode.AUTH_FAILED], "it names another home"


# bounds


def test_the_peers_home_takes_part_in_four_moves_at_once_and_one_more_in_thirty_seconds() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    for number in range(5):
        mesh.connect("alice", f"node-{2 + number % 2}", move=True)
        mesh.settle()
    throttled = [error for error in mesh.messages(m.ErrorNotice, "node-1") if error.code is ErrorCode.HANDSHAKE_THROTTLED]
    assert len(throttled) == 1
    assert throttled[0].retry_after_ms == 30_000
    assert mesh.apps["alice"].chats.chats[chat_id].hop.state is HopState.READY
    mesh.advance(30.1)
    check_flows(mesh, chat_id, 3)


def test_a_node_that_is_about_to_leave_takes_no_chats_in() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.nodes["node-2"].chats.drain(mesh.now)
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    assert [error.code for error in mesh.messages(m.ErrorNotice, "node-2")] == [ErrorCode.DRAINING]
    mesh.connect("alice", "node-3", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)


def test_an_app_may_move_a_thousand_chats_at_once() -> None:
    index = ChatIndex()
    admission = Admission(ChatParams(), index)
    for _ in range(1000):
        admission.charge_move((None, AppId("a" * 32)), 0.0)
    with pytest.raises(ProtocolError) as refused:
        admission.charge_move((None, AppId("a" * 32)), 0.0)
    assert refused.value.code is ErrorCode.HANDSHAKE_THROTTLED
    admission.charge_move((None, AppId("b" * 32)), 0.0)


def test_moves_that_nobody_signed_do_not_use_up_those_of_the_chat() -> None:
    """Else a node that has heard of a chat would keep its apps from moving."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("node-2", m.MoveOffer))
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    offer = last_offer(mesh, "node-2")
    for number in range(8):
        forged = replace(offer, move=replace(offer.move, number=offer.move.number + 1 + number))
        assert refusals(inject(mesh, "node-2", "node-1", forged)) == [ErrorCode.AUTH_FAILED]
    mesh.lost.clear()
    mesh.link("node-1", "node-2")
    mesh.settle()
    mesh.advance(31.0)
    assert not [error for error in mesh.messages(m.ErrorNotice) if error.code is ErrorCode.HANDSHAKE_THROTTLED]
    check_flows(mesh, chat_id, 3)


def test_an_app_that_changes_between_two_homes_is_slowed_where_its_peer_is() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    for number in range(5):
        mesh.connect("alice", f"node-{1 + number % 2}", move=True)
        mesh.settle()
    throttled = [error for error in mesh.messages(m.ErrorNotice, "node-1") if error.code is ErrorCode.HANDSHAKE_THROTTLED]
    assert [error.retry_after_ms for error in throttled] == [30_000]
    mesh.advance(30.1)
    check_flows(mesh, chat_id, 3)


def test_legs_that_an_app_makes_anew_at_its_home_and_repeats_of_a_move_are_charged_to_its_moves() -> None:
    """Each is a handshake and a commit, whoever asks for it and however often; first handshakes are another account."""
    mesh, chat_id = open_chat("node-0", "node-1")
    admission = mesh.nodes["node-0"].chats._admission
    for _ in range(999):
        admission.charge_move((None, mesh.apps["alice"].app_id), mesh.now)
    chat = mesh.apps["alice"].chats.chats[chat_id]
    for _ in range(2):
        mesh.do("alice", lambda chats: chats.chats[chat_id].move(chat.hop.home, mesh.now))
    mesh.settle()
    refused = mesh.messages(m.ErrorNotice, "node-0")
    assert [(error.code, error.retry_after_ms) for error in refused] == [(ErrorCode.HANDSHAKE_THROTTLED, 100)]
    mesh.start_chat()
    assert len(mesh.apps["bob"].chats.chats) == 2
    mesh.advance(5.1)
    check_flows(mesh, chat_id, 3)
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    offer, admission = last_offer(mesh, "node-2"), mesh.nodes["node-1"].chats._admission
    for _ in range(998):  # both chats came
        admission.charge_move((mesh.nodes["node-2"].node_id, mesh.apps["alice"].app_id), mesh.now)
    assert refusals(inject(mesh, "node-2", "node-1", offer)) == [ErrorCode.HANDSHAKE_THROTTLED]


# the end


def test_a_chat_that_ended_meanwhile_ends_for_who_moves_it() -> None:
    """Its tombstone knows both apps, so the move gets its end; later the app that has no such chat is asked."""
    for wait_s in (0.0, 31 * 24 * 3600.0):
        mesh, chat_id = open_chat("node-0", "node-1")
        mesh.kill("node-0")
        mesh.do("bob", lambda chats, chat_id=chat_id, now=mesh.now: chats.delete(chat_id, now))
        mesh.settle()
        mesh.advance(wait_s)
        assert bool(mesh.nodes["node-1"].tombstones) is (wait_s == 0)
        mesh.connect("alice", "node-2", move=True)
        mesh.settle()
        ends = [event.reason for event in mesh.apps["alice"].events if isinstance(event, ChatEnded)]
        assert ends == [m.CloseReason.DELETED_BY_PEER]
        assert not mesh.nodes["node-2"].records


def tell_lie(mesh: MovingMesh, chat_id: ChatId, *, proven: bool) -> None:
    """Bob's home says that he deleted the chat."""
    proofs = (EndProof(1, bytes(16)),) if proven else ()
    inject(mesh, "node-1", "node-0", m.Closed(chat_id, m.CloseReason.DELETED_BY_PEER, proofs))
    mesh.nodes["node-1"].restart(mesh.now)  # and knows nothing of it, as far as others can see
    mesh.settle()


@pytest.mark.parametrize("proven", [False, True], ids=["bare", "forged"])
def test_a_home_that_says_that_its_app_deleted_the_chat_ends_nothing(proven: bool) -> None:
    """A node that sees no proof keeps its record; one that cannot tell gives it up, and its app takes it there again."""
    mesh, chat_id = open_chat("node-0", "node-1")
    tell_lie(mesh, chat_id, proven=proven)
    assert not any(isinstance(event, ChatEnded) for app in mesh.apps.values() for event in app.events)
    assert (mesh.apps["alice"].chats.chats[chat_id].moving.number == 1) is proven
    mesh.restart("node-1")
    mesh.connect("bob", "node-1")
    mesh.settle()
    mesh.advance(31.0)
    check_flows(mesh, chat_id, 3)


def test_a_home_that_gives_a_chat_up_takes_it_in_again() -> None:
    """Its tombstone, which others have not acknowledged, is no answer to a move, and goes with the chat's return."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("node-1", m.ClosedAck))
    node = mesh.nodes["node-0"]
    node.chats.close_all(m.CloseReason.NODE_SHUTDOWN, mesh.now)
    mesh._collect_node(node)
    mesh.settle()
    assert not node.tombstones
    mesh.link("node-0", "node-1")
    mesh.advance(11.0)
    check_flows(mesh, chat_id, 3)
    assert not any(isinstance(event, ChatEnded) for app in mesh.apps.values() for event in app.events)


def test_a_delete_ends_the_chat_for_the_other_app_across_moves_and_restarts() -> None:
    """Its proof is kept in the tombstone."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.disconnect("alice")
    mesh.do("bob", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.settle()
    mesh.kill("node-0")
    mesh.restart("node-0")
    mesh.connect("alice", "node-0")
    mesh.settle()
    assert [event.reason for event in mesh.apps["alice"].events if isinstance(event, ChatEnded)] == [
        m.CloseReason.DELETED_BY_PEER
    ]
    assert not mesh.messages(m.MoveOffer)


def test_a_tombstone_says_nothing_to_the_move_of_another_app() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.disconnect("alice")
    mesh.do("bob", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.settle()
    tombstones = mesh.nodes["node-0"].chats._tombstones
    apps = mesh.apps["alice"].app_id, mesh.apps["bob"].app_id
    end = tombstones.find_end(chat_id, apps)
    assert end is not None
    assert end == tombstones.find_end(chat_id, apps[::-1])
    assert end.reason is m.CloseReason.DELETED_BY_PEER
    assert tombstones.find_end(chat_id, (apps[0], AppId("a" * 32))) is None


def test_an_app_whose_own_store_is_an_older_copy_signs_the_next_number() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    for home in ("node-2", "node-3"):
        mesh.connect("alice", home, move=True)
        mesh.settle()
    moving = mesh.apps["alice"].chats.chats[chat_id].moving
    assert moving.number == 2
    moving.number = 0
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.advance(10.0)
    assert moving.number == 3
    check_flows(mesh, chat_id, 3)


# each rule by itself


def test_a_stale_record_of_a_former_home_does_not_hide_where_the_other_app_is() -> None:
    """Both were at home there; one comes back to it, after the other's move to a third node was never heard of there."""
    mesh, chat_id = open_chat("node-0", "node-0")
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.connect("bob", "node-3", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    mesh.restart("node-0")
    mesh.kill("node-2")
    mesh.connect("alice", "node-0", move=True)
    mesh.settle()
    mesh.advance(10.0)
    check_flows(mesh, chat_id, 6)


def test_a_former_home_that_is_back_with_an_old_move_takes_no_path_away_for_good() -> None:
    """The home of the other app may have come to be after the move that it would have to know: it hears the higher number."""
    mesh, chat_id = open_chat("node-0", "node-1")
    for name, lost, home in (("bob", "", "node-2"), ("bob", "node-2", "node-3"), ("alice", "node-0", "node-1")):
        if lost:
            mesh.kill(lost)
            mesh.settle()
        mesh.connect(name, home, move=True)
        mesh.settle()
    check_flows(mesh, chat_id, 3)
    mesh.nodes["node-0"].records.clear()
    mesh.disconnect("bob")  # else his former home hears that he is elsewhere, and lets go
    for name in ("node-0", "node-2"):
        mesh.restart(name)
        mesh.settle()
    believed = len(mesh.messages(m.MoveAnswer, "node-1"))
    mesh.advance(mesh.params.resume_retry_s)
    assert len(mesh.messages(m.MoveAnswer, "node-1")) > believed, (
        "it does not come back with its old move, or nobody believes it"
    )
    mesh.connect("bob", "node-3")
    mesh.settle()
    check_flows(mesh, chat_id, 6)
    assert chat_id not in mesh.nodes["node-2"].records


def test_two_old_records_that_agree_take_no_path_away_for_a_minute() -> None:
    """A store of before a move was put back, and meets the record of the home that the move led to and that was left since.

    Its own app never moved, so that it has nothing to look with: where the other app is its present home knows.
    """
    mesh, chat_id = open_chat("node-0", "node-1")
    old = mesh.nodes["node-0"].records[chat_id]
    for lost, home, said in (("node-1", "node-2", 3), ("node-2", "node-1", 6)):
        mesh.kill(lost)
        mesh.settle()
        if home == "node-1":
            mesh.restart("node-1")
        mesh.connect("bob", home, move=True)
        mesh.settle()
        check_flows(mesh, chat_id, said)
    mesh.kill("node-0")
    mesh.nodes["node-0"].records[chat_id] = old
    mesh.restart("node-0")
    mesh.nodes["node-0"].chats.take_verdict(ResumeVerdict.ROLLED_BACK, mesh.now)
    mesh.connect("alice", "node-0")
    mesh.settle()
    mesh.advance(mesh.params.resume_retry_s)
    check_flows(mesh, chat_id, 9)

    believed = len(mesh.messages(m.MoveAnswer, "node-0"))
    mesh.disconnect("bob")  # else his former home hears that he is elsewhere, and lets go
    mesh.restart("node-2")
    mesh.settle()
    mesh.advance(mesh.params.resume_retry_s)
    assert len(mesh.messages(m.MoveAnswer, "node-0")) > believed, "nobody believes it"
    mesh.connect("bob", "node-1")
    mesh.settle()
    mesh.advance(1.0)
    check_flows(mesh, chat_id, 12)


def test_a_former_home_that_is_back_after_the_end_lets_go_as_well() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.do("bob", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.settle()
    mesh.restart("node-0")
    mesh.settle()
    assert not mesh.nodes["node-0"].records


def test_an_offer_of_a_node_that_the_move_does_not_name_is_refused_before_its_number_is_looked_at() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    offer = last_offer(mesh, "node-2")
    mesh.reach("node-1", "node-3")
    thief = mesh.nodes["node-3"].chats
    link = thief.link_of(mesh._neighbour("node-1"))
    assert link is not None
    channel = thief._context.build_channel(chat_id, link)
    stolen = replace(offer, hop=channel.start_offer(mesh.now))
    assert refusals(inject(mesh, "node-3", "node-1", stolen)) == [ErrorCode.AUTH_FAILED]


def test_the_leg_s_offer_is_held_against_what_the_app_signed() -> None:
    """A node in between could put a leg of its own in place; the offer itself is authentic, and another one."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("alice", m.MoveOffer))
    mesh.connect("alice", "node-2", move=True)
    first = last_offer(mesh, "alice")
    mesh.do("alice", lambda chats: chats.chats[chat_id].move(chats._home, mesh.now))
    second = last_offer(mesh, "alice")
    mixed = replace(first, hop=second.hop)
    answers = inject(mesh, "alice", "node-2", mixed)
    assert [(a.code, a.detail) for a in answers if isinstance(a, m.ErrorNotice)] == [
        (ErrorCode.AUTH_FAILED, "the move is of another offer")
    ]
    assert isinstance(inject(mesh, "alice", "node-2", second)[-1], m.MoveAnswer)


@pytest.mark.parametrize("target", ["node-1", "node-2"])
def test_what_was_on_its_way_over_the_old_hop_is_sent_again(target: str) -> None:
    """The old path is up all the while, and loses what is said last: the other app hears of the path anew."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("node-1", m.Sealed))
    mesh.say("bob", chat_id, *numbered("b", 3, 6))
    mesh.settle()
    mesh.lost = {("node-0", m.PathState)}  # so that nobody hears of a path that is down
    told = len(mesh.messages(m.PathState, "node-1"))
    mesh.connect("alice", target, move=True)
    mesh.settle()
    to_bob = [message.up for by, to, message in mesh.seen if isinstance(message, m.PathState) and (by, to) == ("node-1", "bob")]
    assert len(mesh.messages(m.PathState, "node-1")) > told
    assert to_bob[-2:] == [False, True]
    mesh.say("alice", chat_id, *numbered("a", 3, 6))
    mesh.settle()
    check_flows(mesh, chat_id, 6)


def test_a_new_home_whose_confirmation_was_lost_is_told_that_its_hop_was_never_made() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost |= {("node-2", m.Confirm), ("node-2", m.PathState)}
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.lost.clear()
    before = len(mesh.messages(m.ErrorNotice, "node-1"))
    mesh.link("node-1", "node-2")
    mesh.settle()
    assert [error.code for error in mesh.messages(m.ErrorNotice, "node-1")[before:]] == [ErrorCode.CHAT_NOT_FOUND]
    mesh.advance(10.0)
    check_flows(mesh, chat_id, 3)


def test_a_restored_record_goes_on_looking_before_anything_else_happens() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("node-2", m.MoveOffer))
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.kill("node-2")
    mesh.restart("node-2")
    assert mesh.nodes["node-2"].chats._chats.by_id[chat_id].moves.search.at is not None


def test_a_tombstone_answers_a_move_at_once() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.do("bob", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.settle()
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    assert not mesh.messages(m.MoveWanted)
    assert [event.reason for event in mesh.apps["alice"].events if isinstance(event, ChatEnded)] == [
        m.CloseReason.DELETED_BY_PEER
    ]


def test_an_app_that_moves_too_many_chats_is_told_when_to_go_on() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    admission = mesh.nodes["node-2"].chats._admission
    for _ in range(1000):
        admission.charge_move((None, mesh.apps["alice"].app_id), mesh.now)
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    (refused,) = mesh.messages(m.ErrorNotice, "node-2")
    assert (refused.code, refused.retry_after_ms) == (ErrorCode.HANDSHAKE_THROTTLED, 100)
    mesh.advance(5.0)
    check_flows(mesh, chat_id, 3)


def test_an_unproven_leg_is_made_anew_on_the_next_stream() -> None:
    """Whether the new home has our confirmation is not known: a resume of what it never had would be of no use."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost |= {("node-2", m.MoveOffer), ("alice", m.Confirm)}
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    resumes = len(mesh.messages(m.Resume, "alice"))
    mesh.connect("alice", "node-2")
    mesh.settle()
    assert len(mesh.messages(m.Resume, "alice")) == resumes
    assert mesh.apps["alice"].chats.chats[chat_id].moving.number == 2


def test_a_quiet_chat_proves_its_new_leg_by_a_greeting() -> None:
    mesh = MovingMesh(3)
    mesh.connect("alice", "node-0")
    mesh.connect("bob", "node-1")
    mesh.settle()
    chat_id = mesh.start_chat()
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    assert not mesh.apps["alice"].chats.chats[chat_id].moving.unproven


def test_an_app_that_is_looked_for_where_it_is_not_at_home_moves_there() -> None:
    """Its home is gone, and it came up elsewhere without its chats: the other app's new home asks for them."""
    mesh, chat_id = open_chat("node-0", "node-0")
    mesh.kill("node-0")
    mesh.connect("bob", "node-3")
    mesh.settle()
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    assert mesh.messages(m.MoveWanted, "node-3")
    mesh.advance(10.0)
    check_flows(mesh, chat_id, 3)


def test_an_app_answers_its_former_home_with_its_move_and_never_with_a_delete() -> None:
    mesh, chat_id = open_chat("node-0", "node-0")
    mesh.kill("node-0")
    for name in ("alice", "bob"):
        mesh.connect(name, "node-2", move=True)
    mesh.settle()
    mesh.restart("node-0")
    mesh.connect("alice", "node-0")
    mesh.settle()
    assert not mesh.messages(m.Delete)
    assert [moved.move.home[:11] for moved in mesh.messages(m.Moved, "alice")] == ["node:node-2"]
    check_flows(mesh, chat_id, 3)  # and the other app's home asks for the chat where its app is now


def test_a_home_that_takes_a_chat_in_and_denies_it_is_not_asked_at_once_again() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.lost.add(("node-2", m.MoveOffer))
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    error = m.ErrorNotice(ErrorCode.CHAT_NOT_FOUND, ErrorScope.FRAME, chat_id, "", 0)
    mesh.do("alice", lambda chats: chats.receive(error, mesh.now))
    assert mesh.apps["alice"].chats.chats[chat_id].moving.number == 1
    mesh.advance(5.0)
    assert mesh.apps["alice"].chats.chats[chat_id].moving.number == 2


def test_a_resume_of_a_leg_that_is_being_made_changes_nothing() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("alice", m.Confirm))
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    assert refusals(inject(mesh, "alice", "node-2", m.Resume(chat_id, ()))) == [ErrorCode.CHAT_NOT_FOUND]
    assert mesh.nodes["node-2"].chats._chats.by_id[chat_id].state is ChatState.ACTIVE


# finding each other


def follow_bob(mesh: MovingMesh, chat_id: ChatId, *homes: str) -> None:
    """He moves from one to the next, each of which lives and knows where he went from there; then he is away."""
    for home in homes:
        mesh.advance(31.0)
        mesh.connect("bob", home, move=True)
        mesh.settle()
    check_flows(mesh, chat_id, 3)
    mesh.disconnect("bob")
    mesh.settle()


def forget_bob(mesh: MovingMesh, name: str, last_home: str) -> None:
    """All that this node has heard of him is where he was long ago."""
    chats, home, bob = mesh.nodes[name].chats, mesh.nodes[last_home].party, mesh.apps["bob"]
    chats._directory._forget(bob.app_id)
    for apps in ([bob.identity], []):  # he came, and went
        tell_apps(chats, home, apps, int(mesh.now * 1000), mesh.now)


def asked(mesh: MovingMesh, by: str, since: int) -> list[str]:
    return [to for sender, to, message in mesh.seen[since:] if sender == by and isinstance(message, m.MoveOffer)]


def test_a_new_home_follows_where_each_former_one_says_that_the_other_app_went() -> None:
    """The home that knew is lost; nobody in the directory has the app, which is away."""
    mesh, chat_id = open_chat("node-0", "node-1", nodes=6)
    follow_bob(mesh, chat_id, "node-2", "node-3", "node-4")
    mesh.kill("node-0")
    forget_bob(mesh, "node-5", "node-1")
    since = len(mesh.seen)
    mesh.connect("alice", "node-5", move=True)
    forget_bob(mesh, "node-5", "node-1")
    mesh.settle()
    assert asked(mesh, "node-5", since) == ["node-1", "node-2", "node-3", "node-4"]
    mesh.connect("bob", "node-4")
    mesh.settle()
    check_flows(mesh, chat_id, 6)


def test_no_more_than_four_are_followed_at_once_and_the_next_round_begins_where_that_ended() -> None:
    homes = [f"node-{number}" for number in range(2, 8)]
    mesh, chat_id = open_chat("node-0", "node-1", nodes=9)
    follow_bob(mesh, chat_id, *homes)
    mesh.kill("node-0")
    since = len(mesh.seen)
    mesh.connect("alice", "node-8", move=True)
    forget_bob(mesh, "node-8", "node-1")
    mesh.settle()
    assert asked(mesh, "node-8", since) == ["node-1", *homes[:4]]
    mesh.advance(10.0)
    assert asked(mesh, "node-8", since) == ["node-1", *homes]
    mesh.connect("bob", "node-7")
    mesh.settle()
    check_flows(mesh, chat_id, 6)


@pytest.mark.parametrize("targets", [("node-2", "node-3"), ("node-3", "node-2")])
@pytest.mark.parametrize("lost", [True, False], ids=["old homes lost", "old homes live"])
def test_moves_in_two_halves_of_a_mesh_meet_when_it_is_whole_again(targets: tuple[str, str], lost: bool) -> None:
    """Each half has a former home, if any, and a new one; both new homes offer at once, and the lower one's tieline stands."""
    mesh, chat_id = open_chat("node-0", "node-1")
    halves = (("node-0", targets[0]), ("node-1", targets[1]))
    for left in halves[0]:
        for right in halves[1]:
            mesh.part(left, right)
    if lost:
        mesh.kill("node-0")
        mesh.kill("node-1")
    mesh.say("alice", chat_id, *numbered("a", 3, 6))
    for name, target in zip(("alice", "bob"), targets, strict=True):
        mesh.connect(name, target, move=True)
    mesh.advance(60.0)
    mesh.say("bob", chat_id, *numbered("b", 3, 6))
    mesh.settle()
    for left in halves[0]:
        for right in halves[1]:
            if mesh.nodes[left].alive and mesh.nodes[right].alive:
                mesh.heal(left, right)
            mesh.apart.discard(frozenset((left, right)))
    mesh.spread_directory()
    mesh.settle()
    mesh.advance(10.0)
    check_flows(mesh, chat_id, 6)
    answers = [by for by, to, message in mesh.seen if isinstance(message, m.MoveAnswer) and {by, to} == set(targets)]
    assert answers == ["node-3"]


def test_a_former_home_keeps_the_side_of_the_app_that_stays() -> None:
    """Both were at home there; it hears of the one that went from that app itself, before the new home has found it."""
    mesh, chat_id = open_chat("node-0", "node-0")
    mesh.part("node-0", "node-2")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    moved = m.Moved(chat_id, last_offer(mesh, "alice").move)
    inject(mesh, "node-1", "node-0", moved)
    assert chat_id in mesh.nodes["node-0"].records
    assert not mesh.messages(m.ErrorNotice, "node-0")
    mesh.heal("node-0", "node-2")
    mesh.advance(10.0)
    check_flows(mesh, chat_id, 3)
    assert mesh.apps["bob"].chats.chats[chat_id].moving.number == 0


def test_a_home_that_both_apps_leave_at_once_lets_go() -> None:
    """Both hops are being made when the first is confirmed: a chat that leads to one node twice is nobody's."""
    mesh, chat_id = open_chat("node-0", "node-0")
    mesh.lost |= {("node-3", m.MoveOffer), ("node-3", m.Moved)}
    mesh.reach("node-0", "node-3")
    home, there = mesh.nodes["node-0"], mesh.nodes["node-3"]
    link = there.chats.link_of(mesh._neighbour("node-0"))
    assert link is not None
    confirms = []
    moves = []
    for name in ("alice", "bob"):
        mesh.connect(name, "node-3", move=True)
        mesh.settle()
        moves.append(last_offer(mesh, name).move)
    for move in moves:
        channel = there.chats._context.build_channel(chat_id, link)
        (answer,) = inject(mesh, "node-3", "node-0", m.MoveOffer(chat_id, move, channel.start_offer(mesh.now)))
        assert isinstance(answer, m.MoveAnswer)
        epoch = channel.prepare_epoch(answer.hop, answer.hop_confirm, mesh.now)
        confirms.append(m.Confirm(chat_id, 0, b"", 1, epoch.tag))
    for confirm in confirms:
        inject(mesh, "node-3", "node-0", confirm)
    assert not home.records
    assert home.chats.live_chats() == 0
    mesh.lost.clear()
    check_flows(mesh, chat_id, 3)


# moves that nothing comes of


def test_an_app_without_a_path_says_its_move_again_and_its_home_looks_where_the_other_app_is() -> None:
    """The other app's home is lost, its new home does not find ours; what ours still holds is a tieline to the lost one."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    mesh.kill("node-1")
    mesh.lost |= {("node-3", m.MoveOffer)}
    mesh.connect("bob", "node-3", move=True)
    mesh.settle()
    mesh.nodes["node-2"].chats._chats.by_id[chat_id].moves.search.at = None
    assert mesh.apps["alice"].chats.chats[chat_id].hop.state is HopState.READY
    mesh.advance(20.0)
    assert not mesh.messages(m.Moved, "alice")
    mesh.advance(20.0)
    assert [moved.move.number for moved in mesh.messages(m.Moved, "alice")] == [1]
    mesh.settle()
    check_flows(mesh, chat_id, 6)


def test_an_app_that_never_moved_has_nothing_to_say_and_the_wait_grows() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.disconnect("bob")
    mesh.settle()
    mesh.advance(3600.0)
    assert not mesh.messages(m.Moved, "alice")
    mesh.connect("bob", "node-1")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    mesh.disconnect("bob")
    for _ in range(3600):
        mesh.advance(1.0)
    assert 8 <= len(mesh.messages(m.Moved, "alice")) <= 10


def test_an_unconfirmed_move_ends_with_the_idle_time() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    mesh.kill("node-1")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.advance(mesh.params.idle_timeout_s - 60.0)
    assert chat_id in mesh.nodes["node-2"].records
    mesh.advance(61.0)
    assert [event.reason for event in mesh.apps["alice"].events if isinstance(event, ChatEnded)] == [m.CloseReason.EXPIRED]
    assert not mesh.nodes["node-2"].records


@pytest.mark.parametrize("trouble", ["no answer", "no word", "leaving"])
def test_a_move_that_comes_to_nothing_is_made_elsewhere_with_a_higher_number(trouble: str) -> None:
    """The new home does not answer, or says that a path is up over which nothing comes of the other app, or leaves itself."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-0")
    if trouble == "leaving":
        mesh.nodes["node-2"].chats.drain(mesh.now)
    mesh.lost = {("node-2", m.MoveAnswer if trouble == "no answer" else m.Sealed)}
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    assert mesh.left == (["alice"] if trouble == "leaving" else [])
    if trouble != "leaving":
        mesh.advance(29.0)
        assert mesh.left == []
        mesh.advance(1.5)
        assert mesh.left == ["alice"]
    mesh.connect("alice", "node-3", move=True)
    mesh.settle()
    mesh.advance(31.0)
    check_flows(mesh, chat_id, 3)
    assert mesh.apps["alice"].chats.chats[chat_id].moving.number > 1


def test_a_home_that_does_for_one_chat_is_not_left_for_another_one_s_trouble() -> None:
    """An app that says nothing could else drive its peers from home to home."""
    mesh, chat_id = open_chat("node-0", "node-1")
    second = mesh.start_chat()
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    moving = mesh.apps["alice"].chats.chats[second].moving
    assert not moving.unproven
    moving.unproven = True
    mesh.do("alice", lambda chats: chats.rekey(second, mesh.now))
    mesh.lost = {("bob", m.Sealed)}
    mesh.advance(31.0)
    mesh.advance(31.0)
    assert moving.number > 1
    assert mesh.left == []


# suites

HYBRID, CLASSICAL = (Suite.X25519_MLKEM768_SHA256, Suite.X25519_SHA256), (Suite.X25519_SHA256,)


@pytest.mark.parametrize("classical", ["node-2", "node-1"], ids=["leg", "tieline"])
def test_a_moved_hop_goes_not_below_the_suite_of_the_one_whose_place_it_takes(classical: str) -> None:
    """A node that allows less is no home; nor does the other app's home, once it allows less, make a weaker tieline."""
    hybrid = ChannelParams(suites=HYBRID)
    mesh = MovingMesh(4, params=ChatParams(channel=hybrid), app_params=AppParams(leg=hybrid))
    for name, home in (("alice", "node-0"), ("bob", "node-1")):
        mesh.connect(name, home)
    mesh.settle()
    chat_id = mesh.start_chat()
    mesh.kill("node-0")
    weak = mesh.nodes[classical]
    mesh.kill(classical)
    weak.params = ChatParams(channel=ChannelParams(suites=CLASSICAL))
    mesh.restart(classical)
    if classical == "node-1":
        mesh.connect("bob", "node-1")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    if classical == "node-2":
        assert [error.code for error in mesh.messages(m.ErrorNotice, "node-2")] == [ErrorCode.UNSUPPORTED]
        assert mesh.left == ["alice"]
        mesh.connect("alice", "node-3", move=True)
        mesh.settle()
    check_flows(mesh, chat_id, 0)
    assert mesh.apps["alice"].chats.chats[chat_id].leg.suite is HYBRID[0]
    tieline = mesh.nodes["node-1"].chats._chats.by_id[chat_id].hops[0].channel
    assert tieline.kind is ChannelKind.TIELINE
    assert tieline.suite is HYBRID[0]


def test_an_app_that_went_back_home_is_not_taken_away_by_a_move_that_nothing_came_of() -> None:
    """The home that it was to have meanwhile comes back with a record that says that the app is there."""
    mesh, chat_id = open_chat("node-0", "node-0")
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.kill("node-2")
    mesh.restart("node-0")
    mesh.connect("alice", "node-0")
    mesh.connect("bob", "node-0")
    mesh.settle()
    check_flows(mesh, chat_id, 3)
    mesh.restart("node-2")
    mesh.settle()
    assert last_offer(mesh, "node-2").move.number == 1, "it says so"
    assert {app.chats.chats[chat_id].hop.state for app in mesh.apps.values()} == {HopState.OPEN}, "with nobody saying anything"
    check_flows(mesh, chat_id, 6)
    assert mesh.apps["alice"].chats.chats[chat_id].leg.peer == mesh.nodes["node-0"].party


def test_an_app_that_moves_to_a_home_which_was_rolled_back_cures_its_chat_there() -> None:
    """It hears of the rollback while its leg is made anew, and again over the new one: nobody else asks for the rekey."""
    mesh, chat_id = begin_chat("node-0", "node-1")
    mesh.lost.add(("node-2", m.Sealed))  # nothing proves the new leg, so that it is made anew on the next stream
    mesh.connect("bob", "node-2", move=True)
    mesh.settle()
    mesh.kill("node-2")
    mesh.lost.clear()
    mesh.restart("node-2")
    mesh.nodes["node-2"].chats.take_verdict(ResumeVerdict.ROLLED_BACK, mesh.now)
    mesh.connect("bob", "node-2", move=True)
    mesh.settle()
    assert len(mesh.messages(m.MoveAnswer, "node-2")) > 1
    mesh.advance(60.0)
    mesh.say("alice", chat_id, b"cured")
    mesh.settle()
    assert mesh.apps["bob"].contents() == [b"cured"]


def test_a_confirmation_of_the_leg_that_is_there_still_is_none_of_the_one_that_is_being_made() -> None:
    """An app repeats it until it knows that it arrived, also while its home waits for that of a move."""
    mesh, chat_id = begin_chat("node-0", "node-1")
    first = next(confirm for confirm in mesh.messages(m.Confirm, "alice") if confirm.hop_epoch)
    mesh._put("node-0", "alice", m.MoveWanted(chat_id))
    while not mesh.messages(m.MoveAnswer, "node-0"):
        mesh.deliver()
    mesh.queue.appendleft(("alice", "node-0", m.Confirm(chat_id, 0, b"", first.hop_epoch, first.hop_confirm)))
    mesh.settle()
    assert not [event for event in mesh.nodes["node-0"].events if isinstance(event, MessageRefused)]
    mesh.say("bob", chat_id, b"over the new leg")
    mesh.settle()
    assert mesh.apps["alice"].contents() == [b"over the new leg"]


@pytest.mark.parametrize("target", ["node-0", "node-2"], ids=["at its home", "at another node"])
def test_a_confirmation_that_comes_after_its_leg_was_given_up_is_no_false_proof(target: str) -> None:
    """It was held back for longer than a leg is waited for; its app hears that the leg was never made, and makes it anew."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("alice", m.Confirm))
    if target == "node-0":
        mesh._put("node-0", "alice", m.MoveWanted(chat_id))
    else:
        mesh.connect("alice", target, move=True)
    mesh.settle()
    late = mesh.messages(m.Confirm, "alice")[-1]
    node = mesh.nodes[target]
    mesh.now += mesh.params.handshake_timeout_s
    node.chats.handle_timer(mesh.now)
    mesh._collect_node(node)
    mesh.lost.clear()
    assert refusals(inject(mesh, "alice", target, late)) == [ErrorCode.CHAT_NOT_FOUND]
    assert {event.code for event in node.events if isinstance(event, MessageRefused)} == {ErrorCode.CHAT_NOT_FOUND}
    mesh.settle()
    mesh.advance(mesh.params.handshake_timeout_s)
    check_flows(mesh, chat_id, 3)


def test_only_the_latest_confirmations_that_nobody_waits_for_are_known() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.lost.add(("alice", m.Confirm))
    node = mesh.nodes["node-0"]
    while len({message.hop_confirm for message in mesh.messages(m.Confirm, "alice")}) < MAX_LATE + 3:
        mesh._put("node-0", "alice", m.MoveWanted(chat_id))
        mesh.settle()
        mesh.advance(mesh.params.handshake_timeout_s)
    tags = list(dict.fromkeys(message.hop_confirm for message in mesh.messages(m.Confirm, "alice")))
    moves = node.chats._chats.by_id[chat_id].moves
    known = [tag for tag in tags if moves._candidates.is_late(m.Confirm(chat_id, 0, b"", 1, tag))]
    assert len(known) == MAX_LATE
    assert known == tags[tags.index(known[0]) :][:MAX_LATE]


def test_no_frame_of_the_former_leg_comes_after_the_answer_for_the_new_one() -> None:
    """It would be taken for one of the new leg, on which everything before it is missing: that ends a stream."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh._put("node-0", "alice", m.MoveWanted(chat_id))
    while not mesh.messages(m.MoveAnswer, "node-0"):
        mesh.deliver()
    mesh.say("bob", chat_id, *numbered("b", 3, 6))
    while under_way := [item for item in mesh.queue if "alice" not in item[:2]]:  # she reads only then
        mesh.queue.remove(under_way[0])
        mesh.queue.appendleft(under_way[0])
        mesh.deliver()
    mesh.settle()
    mesh.say("alice", chat_id, *numbered("a", 3, 6))
    mesh.settle()
    mesh.advance(31.0)
    assert mesh.apps["alice"].contents() == numbered("b", 0, 6)
    assert mesh.apps["bob"].contents() == numbered("a", 0, 6)
