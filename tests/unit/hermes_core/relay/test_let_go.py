"""Records of a chat at nodes that its apps have left, found there again by one of them or by nobody: none asks on for ever."""

from __future__ import annotations

import pytest

from hermes_core.endpoint.events import ChatEnded
from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId
from hermes_core.protocol import messages as m
from tests.support.app_volume import AppVolume
from tests.support.moving_mesh import MeshApp, MovingMesh
from tests.unit.hermes_core.relay.test_moves import check_flows, open_chat

QUIET_S = 60.0


def wait(mesh: MovingMesh, seconds: float) -> None:
    for _ in range(int(seconds / 5.0)):
        mesh.advance(5.0)


def check_at_rest(mesh: MovingMesh, name: str) -> None:
    """Nothing more comes from there of a chat."""
    wait(mesh, QUIET_S)
    since = len(mesh.seen)
    wait(mesh, QUIET_S)
    said = [message for sender, _, message in mesh.seen[since:] if sender == name]
    assert not [message for message in said if isinstance(message, m.Resume | m.MoveOffer | m.Moved)], said


def holders(mesh: MovingMesh, chat_id: ChatId) -> list[str]:
    return [name for name, node in mesh.nodes.items() if chat_id in node.records]


def open_kept_chat() -> tuple[MovingMesh, ChatId, MeshApp, AppVolume]:
    """Alice at node-0, Bob at node-1, both with stores; Alice, and a copy of her store as it is now."""
    mesh = MovingMesh(4, durable=True)
    for name, home in (("alice", "node-0"), ("bob", "node-1")):
        mesh.connect(name, home)
    mesh.settle()
    chat_id = mesh.start_chat()
    alice = mesh.apps["alice"]
    assert alice.volume is not None
    return mesh, chat_id, alice, alice.volume.copy()


@pytest.mark.parametrize("moved_before", [False, True])
def test_a_former_home_that_missed_the_end_lets_go_when_nobody_knows_the_chat(moved_before: bool) -> None:
    """Alice's home was away when both moved on and the chat ended; what its neighbour remembers of moves says nothing to it."""
    mesh, chat_id = open_chat("node-0", "node-1")
    home = "node-0"
    if moved_before:
        mesh.connect("alice", "node-2", move=True)
        mesh.settle()
        home = "node-2"
    mesh.kill(home)
    mesh.settle()
    for name in ("alice", "bob"):
        mesh.connect(name, "node-3", move=True)
        mesh.settle()
    mesh.do("alice", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.settle()
    mesh.restart("node-1")  # what it remembered of the moves is forgotten
    mesh.restart(home)
    mesh.settle()
    check_at_rest(mesh, home)
    assert holders(mesh, chat_id) == []


def test_a_former_home_whose_number_is_the_highest_lets_go_after_the_end_as_well() -> None:
    """Alice's store was put back: she moves on with a lower number than her former home holds, and the chat ends meanwhile."""
    mesh, chat_id, alice, copy = open_kept_chat()
    for target in ("node-3", "node-0", "node-2"):
        mesh.connect("alice", target, move=True)
        mesh.settle()
    mesh.connect("bob", "node-3", move=True)  # whose new home hears of no move of Alice's
    mesh.settle()
    mesh.kill("node-2")
    alice.volume = copy
    mesh.restart_app("alice")
    mesh.connect("alice", "node-1", move=True)
    mesh.settle()
    wait(mesh, 30.0)
    mesh.do("alice", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.settle()
    assert [message.move.number for message in mesh.messages(m.MoveOffer, "alice")] == [1, 2, 3, 1]
    mesh.restart("node-2")
    mesh.settle()
    check_at_rest(mesh, "node-2")
    assert holders(mesh, chat_id) == []


def test_a_number_that_an_app_signed_twice_is_settled_alike_by_all_nodes() -> None:
    """Alice's store was put back to before her move: she signs the number again, for another node."""
    mesh, chat_id, alice, copy = open_kept_chat()
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.connect("bob", "node-3", move=True)  # whose new home hears of no move of Alice's
    mesh.settle()
    mesh.kill("node-2")
    mesh.kill("node-1")
    mesh.kill("node-0")
    alice.volume = copy
    mesh.restart_app("alice")
    mesh.nodes["node-0"].records.clear()
    mesh.restart("node-0")
    mesh.connect("alice", "node-0", move=True)
    mesh.settle()
    wait(mesh, 30.0)
    signed = {message.move.number: message.move.home for message in mesh.messages(m.MoveOffer, "alice")}
    mesh.restart("node-2")
    mesh.settle()
    check_at_rest(mesh, "node-2")
    assert set(signed) == {1}
    assert holders(mesh, chat_id) == ["node-0", "node-3"]
    mesh.say("alice", chat_id, b"here")
    mesh.settle()
    assert mesh.apps["bob"].contents() == [b"here"]


@pytest.mark.parametrize("kept", [False, True])
def test_an_app_that_deleted_ends_the_chat_at_a_node_whose_record_leads_to_its_former_home(kept: bool) -> None:
    """Bob's first home was away and is back; Alice, who has deleted meanwhile, is there when Bob moves in again."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.kill("node-1")
    mesh.settle()
    mesh.connect("bob", "node-2", move=True)
    mesh.settle()
    mesh.kill("node-0")
    mesh.settle()
    mesh.do("alice", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.kill("node-2")
    mesh.restart("node-1")
    if not kept:
        mesh.nodes["node-1"].records.clear()
        mesh.nodes["node-1"].restart(mesh.now)
    mesh.connect("alice", "node-1", move=True)
    mesh.settle()
    mesh.connect("bob", "node-1", move=True)
    mesh.settle()
    wait(mesh, 30.0)
    assert [event.reason for event in mesh.apps["bob"].events if isinstance(event, ChatEnded)] == [
        m.CloseReason.DELETED_BY_PEER
    ]
    assert chat_id not in mesh.nodes["node-1"].records


def test_an_app_that_is_not_looked_for_ends_nothing_where_it_is_not_at_home() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.connect("alice", "node-1")  # without its chats, whose home lives
    mesh.queue.append(("alice", "node-1", m.Delete(chat_id, failed=True)))
    mesh.settle()
    mesh.connect("alice", "node-0")
    mesh.settle()
    check_flows(mesh, chat_id, 3)


def test_a_former_home_that_looks_on_lets_go_once_its_app_is_elsewhere() -> None:
    """It looks for the other app with the move of its own, whose home is not known at first."""
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.kill("node-2")
    mesh.connect("alice", "node-3", move=True)
    mesh.settle()
    mesh.connect("bob", "node-3", move=True)
    mesh.settle()
    mesh.do("alice", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.settle()
    mesh.disconnect("alice")
    mesh.restart("node-1")
    mesh.restart("node-2")
    mesh.nodes["node-3"].tombstones.clear()
    mesh.restart("node-3")
    mesh.lost.add(("bob", m.Delete))
    mesh.connect("bob", "node-1")
    mesh.settle()
    wait(mesh, 20.0)
    assert holders(mesh, chat_id) == ["node-2"]
    mesh.connect("alice", "node-0")
    check_at_rest(mesh, "node-2")
    assert holders(mesh, chat_id) == []


def test_a_node_that_is_no_neighbour_of_a_chat_hears_so_however_little_there_is_to_tell() -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    mesh.queue.append(("node-2", "node-1", m.Resume(chat_id, ())))
    mesh.settle()
    told = [
        message.code
        for sender, to, message in mesh.seen
        if (sender, to) == ("node-1", "node-2")
        if isinstance(message, m.ErrorNotice)
    ]
    assert told == [ErrorCode.CHAT_NOT_FOUND]


@pytest.mark.parametrize("come", [("alice", "bob"), ("bob", "alice")])
def test_a_home_of_both_that_is_back_lets_go_when_it_hears_of_one_after_the_other(come: tuple[str, str]) -> None:
    mesh, chat_id = open_chat("node-0", "node-1")
    for name in ("alice", "bob"):
        mesh.connect(name, "node-3", move=True)
        mesh.settle()
    mesh.kill("node-3")
    mesh.connect(come[0], "node-2", move=True)
    mesh.settle()
    mesh.restart("node-3")
    mesh.connect(come[1], "node-2", move=True)
    mesh.settle()
    check_at_rest(mesh, "node-3")
    assert holders(mesh, chat_id) == ["node-2"]
    check_flows(mesh, chat_id, 3)
