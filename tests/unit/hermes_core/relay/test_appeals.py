"""A chat whose other app ended it, and no home knows of that: the home of this one asks it for a move, and looks with it."""

from __future__ import annotations

import hashlib

import pytest

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatEnded
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.patience import SPREAD
from hermes_core.ids import ChatId, node_party
from hermes_core.protocol import messages as m
from hermes_core.relay.appeal import ANSWER_S, APPEAL_AFTER_S, APPEAL_MAX_S, Appeal
from tests.support.moving_mesh import MovingMesh
from tests.unit.hermes_core.relay.test_moves import begin_chat

pytestmark = pytest.mark.usefixtures("either_way")
ASKED_AFTER_S = 2 * APPEAL_AFTER_S
"""By then any chat's app was."""
HOME_PATIENCE_S = AppParams().home_patience_s


def delete_away_from_home(mesh: MovingMesh, chat_id: ChatId) -> None:
    """Bob's home is down, with all it had, when Bob ends the chat."""
    mesh.kill("node-1")
    mesh.nodes["node-1"].records.clear()
    mesh.do("bob", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.settle()


def ends_of(mesh: MovingMesh, name: str) -> list[m.CloseReason]:
    return [event.reason for event in mesh.apps[name].events if isinstance(event, ChatEnded)]


def replace_key(mesh: MovingMesh, name: str) -> None:
    node = mesh.nodes[name]
    node.identity = Identity.from_seed(SecretBytes.take(bytearray(hashlib.sha256(b"another " + name.encode()).digest())))
    node.party = node_party(node.node_id, node.identity.public_key)


@pytest.mark.parametrize("case", ["record lost", "another key", "elsewhere"])
def test_a_delete_that_no_home_knows_of_reaches_an_app_that_never_moved(case: str) -> None:
    mesh, chat_id = begin_chat("node-0", "node-1")
    delete_away_from_home(mesh, chat_id)
    if case == "another key":
        replace_key(mesh, "node-1")
    if case != "elsewhere":
        mesh.restart("node-1")
    mesh.connect("bob", "node-2" if case == "elsewhere" else "node-1")
    mesh.settle()
    assert ends_of(mesh, "alice") == []
    mesh.advance(ASKED_AFTER_S)
    mesh.advance(10.0)
    assert ends_of(mesh, "alice") == [m.CloseReason.DELETED_BY_PEER]
    assert not any(chat_id in node.records for node in mesh.nodes.values())


@pytest.mark.parametrize("deleted", [True, False])
def test_an_app_that_moved_once_is_looked_for_behind_a_node_with_another_key(deleted: bool) -> None:
    """Its home has a move to look with, and does so when the app says it once more."""
    mesh, chat_id = begin_chat("node-0", "node-1")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.kill("node-1")
    mesh.nodes["node-1"].records.clear()
    if deleted:
        mesh.do("bob", lambda chats: chats.delete(chat_id, mesh.now))
    replace_key(mesh, "node-1")
    mesh.restart("node-1")
    mesh.connect("bob", "node-1")
    mesh.settle()
    mesh.advance(HOME_PATIENCE_S * (1 + SPREAD))
    mesh.advance(10.0)
    assert ends_of(mesh, "alice") == [m.CloseReason.DELETED_BY_PEER] * deleted
    if not deleted:
        mesh.say("alice", chat_id, b"still there?")
        mesh.settle()
        assert mesh.apps["bob"].contents() == [b"still there?"]


def test_an_app_that_comes_up_later_is_asked_as_well() -> None:
    mesh, chat_id = begin_chat("node-0", "node-1")
    mesh.disconnect("alice")
    delete_away_from_home(mesh, chat_id)
    mesh.restart("node-1")
    mesh.connect("bob", "node-1")
    for _ in range(3):
        mesh.advance(ASKED_AFTER_S)
    mesh.connect("alice", "node-0")
    mesh.settle()
    for _ in range(20):
        mesh.advance(ASKED_AFTER_S)
    assert ends_of(mesh, "alice") == [m.CloseReason.DELETED_BY_PEER]


def test_nobody_is_asked_while_the_other_app_is_away_or_its_home_does_well() -> None:
    mesh, chat_id = begin_chat("node-0", "node-1")
    for _ in range(10):
        mesh.advance(ASKED_AFTER_S)
    mesh.disconnect("bob")
    for _ in range(30):
        mesh.advance(ASKED_AFTER_S)
    mesh.connect("bob", "node-1")
    mesh.settle()
    for _ in range(30):
        mesh.advance(ASKED_AFTER_S)
    assert not mesh.messages(m.MoveWanted)
    assert mesh.apps["alice"].chats.chats[chat_id].can_send
    assert mesh.apps["alice"].chats.chats[chat_id].moving.number == 0


def test_a_chat_that_the_other_app_still_has_goes_on_after_the_appeal() -> None:
    """Bob came up elsewhere without his chats: Alice's home asks her, then looks for him."""
    mesh, chat_id = begin_chat("node-0", "node-1")
    mesh.kill("node-1")
    mesh.connect("bob", "node-2")
    mesh.settle()
    mesh.advance(ASKED_AFTER_S)
    mesh.advance(10.0)
    mesh.say("alice", chat_id, b"still there?")
    mesh.settle()
    assert mesh.apps["bob"].contents() == [b"still there?"]
    assert [wanted for by, to, wanted in mesh.seen if isinstance(wanted, m.MoveWanted) and to == "alice"] == [
        m.MoveWanted(chat_id)
    ]


def test_an_app_is_asked_when_the_other_one_moved_away_and_its_new_home_is_lost() -> None:
    """Alice's home was put back to before Bob moved, and hears of that from him alone: it does not know where he is."""
    mesh = MovingMesh(4)
    for name in ("alice", "bob"):
        mesh.connect(name, "node-0")
    mesh.settle()
    chat_id = mesh.start_chat()
    image = dict(mesh.nodes["node-0"].records)
    mesh.connect("bob", "node-1", move=True)
    mesh.settle()
    mesh.kill("node-0")
    mesh.kill("node-1")
    mesh.nodes["node-0"].records = image
    mesh.restart("node-0")
    for name in ("alice", "bob"):
        mesh.connect(name, "node-0")
    mesh.settle()
    assert mesh.messages(m.Moved, "bob")
    mesh.disconnect("bob")
    delete_away_from_home(mesh, chat_id)
    mesh.connect("bob", "node-2")
    mesh.settle()
    mesh.advance(ASKED_AFTER_S)
    mesh.advance(10.0)
    assert ends_of(mesh, "alice") == [m.CloseReason.DELETED_BY_PEER]


@pytest.mark.parametrize("moved", [False, True])
def test_a_delete_reaches_an_app_whose_former_home_is_the_deleters_new_one(moved: bool) -> None:
    """There the record leads to a home that is lost, and says so; the app that is here says that the chat is over."""
    mesh, chat_id = begin_chat("node-0", "node-1")
    if moved:
        mesh.connect("bob", "node-3", move=True)
        mesh.settle()
        mesh.connect("bob", "node-1", move=True)
        mesh.settle()
    delete_away_from_home(mesh, chat_id)
    mesh.kill("node-0")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh.restart("node-0")
    mesh.connect("bob", "node-0")
    mesh.settle()
    for _ in range(3):
        mesh.advance(ASKED_AFTER_S)
    assert ends_of(mesh, "alice") == [m.CloseReason.DELETED_BY_PEER]
    assert not any(chat_id in node.records for node in mesh.nodes.values())


def test_chats_that_lost_their_path_together_are_looked_at_one_after_the_other() -> None:
    """A home with 100,000 chats takes all of them up at its start."""
    times = []
    for number in range(1000):
        appeal = Appeal(ChatId(hashlib.sha256(number.to_bytes(2, "big")).digest()[:16]))
        appeal.note_loss(0.0, anew=True)
        assert appeal.at is not None
        times.append(appeal.at)
    assert APPEAL_AFTER_S <= min(times) <= max(times) <= 2 * APPEAL_AFTER_S
    a_second = [sum(begin <= time < begin + 1 for time in times) for begin in range(60, 120)]
    assert max(a_second) < 50


def test_an_appeal_waits_from_the_first_loss_and_longer_each_time() -> None:
    appeal = Appeal(ChatId(bytes(16)))
    appeal.note_loss(0.0, anew=True)
    appeal.note_loss(30.0, anew=False)
    assert appeal.at == APPEAL_AFTER_S
    waits, now = [], APPEAL_AFTER_S
    for _ in range(6):
        appeal.postpone(now)
        assert appeal.at is not None
        waits.append(appeal.at - now)
        now = appeal.at
    assert waits == [120.0, 240.0, 480.0, APPEAL_MAX_S, APPEAL_MAX_S, APPEAL_MAX_S]
    appeal.postpone(now)
    appeal.note_loss(now, anew=False)  # a stream broke: on the next one things may be otherwise
    assert appeal.at == now + APPEAL_AFTER_S
    appeal.note_loss(now + 1, anew=True)  # there was a path meanwhile
    assert appeal.at == now + 1 + APPEAL_AFTER_S


def test_each_look_waits_once_for_where_the_other_app_is() -> None:
    """A second look went by what had been known minutes before, and the next one was twice as long away."""
    appeal = Appeal(ChatId(bytes(16)))
    appeal.note_loss(0.0, anew=True)
    for now in (100.0, 500.0):
        assert appeal.wait_for_answer(now)
        assert appeal.at == now + ANSWER_S
        assert not appeal.wait_for_answer(now + ANSWER_S)
        appeal.postpone(now + ANSWER_S)
