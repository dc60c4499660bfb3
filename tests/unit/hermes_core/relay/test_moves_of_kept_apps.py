"""Apps with a store that are killed while their chats move, wherever in the move that is: the chat goes on, whoever is lost."""

from __future__ import annotations

import pytest

from hermes_core.endpoint.events import ChatEnded, StoresDiffer
from hermes_core.ids import ChatId
from hermes_core.protocol import messages as m
from tests.support.moving_mesh import MovingMesh
from tests.unit.hermes_core.relay.test_moves import check_flows, numbered

POINTS: dict[str, tuple[str, str, type] | None] = {
    "before the offer": None,
    "the offer is kept and never left": ("alice", "node-2", m.MoveOffer),
    "the answer never came": ("node-2", "alice", m.MoveAnswer),
    "the confirmation is kept and never left": ("alice", "node-2", m.Confirm),
    "nothing has proved the new leg": ("node-2", "alice", m.Sealed),
}
"""The message (from, to, type) that the app's death comes before, by how far the move has come."""


def open_kept_chat() -> tuple[MovingMesh, ChatId]:
    """Alice and Bob at home apart, with a chat, messages that arrived each way, and some that did not."""
    mesh = MovingMesh(4, durable=True)
    for name, home in (("alice", "node-0"), ("bob", "node-1")):
        mesh.connect(name, home)
    mesh.settle()
    chat_id = mesh.start_chat()
    say(mesh, chat_id, 0, 3)
    mesh.settle()
    mesh.kill("node-0")
    say(mesh, chat_id, 3, 6)
    mesh.settle()
    return mesh, chat_id


def say(mesh: MovingMesh, chat_id: ChatId, start: int, end: int) -> None:
    mesh.say("alice", chat_id, *numbered("a", start, end))
    mesh.say("bob", chat_id, *numbered("b", start, end))


def check_nothing_told(mesh: MovingMesh) -> None:
    """No end, and no store that has forgotten anything."""
    assert not [event for app in mesh.apps.values() for event in app.events if isinstance(event, ChatEnded | StoresDiffer)]


def begin_move(mesh: MovingMesh, point: str) -> None:
    """Alice moves to node-2, as far as that."""
    stop = POINTS[point]
    if stop is not None:
        mesh.connect("alice", "node-2", move=True)
        while mesh.queue[0][:2] != stop[:2] or not isinstance(mesh.queue[0][2], stop[2]):
            mesh.deliver()


@pytest.mark.parametrize("then", ["the same home", "another home", "the former home", "the new home is lost as well"])
@pytest.mark.parametrize("point", POINTS)
def test_a_kept_app_that_is_killed_during_a_move_goes_on(point: str, then: str) -> None:
    mesh, chat_id = open_kept_chat()
    begin_move(mesh, point)
    mesh.restart_app("alice")
    if then == "the former home":
        mesh.restart("node-0")
    elif then == "the new home is lost as well":
        mesh.kill("node-2")
    mesh.settle()
    target = {"the same home": "node-2", "the former home": "node-0"}.get(then, "node-3")
    mesh.connect("alice", target, move=True)
    mesh.settle()
    for _ in range(4):
        mesh.advance(15.0)
    check_flows(mesh, chat_id, 6)
    check_nothing_told(mesh)


@pytest.mark.parametrize("point", POINTS)
def test_both_apps_are_killed_and_both_homes_lost(point: str) -> None:
    mesh, chat_id = open_kept_chat()
    begin_move(mesh, point)
    mesh.kill("node-1")
    for name, target in (("alice", "node-2"), ("bob", "node-3")):
        mesh.restart_app(name)
        mesh.connect(name, target, move=True)
    mesh.settle()
    for _ in range(4):
        mesh.advance(15.0)
    check_flows(mesh, chat_id, 6)
    check_nothing_told(mesh)


def test_a_delete_by_a_store_of_before_the_rekey_ends_the_chat_as_lost() -> None:
    """Its proof is of an epoch that the other app holds no more: without this the other one would move for ever."""
    mesh, chat_id = open_kept_chat()
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    alice = mesh.apps["alice"]
    assert alice.volume is not None
    copy = alice.volume.copy()
    mesh.do("bob", lambda chats: chats.rekey(chat_id, mesh.now))
    mesh.settle()
    check_flows(mesh, chat_id, 6)
    mesh.advance(600.0)  # the former epoch is forgotten
    mesh.kill("node-2")
    alice.volume = copy
    mesh.restart_app("alice")
    mesh.do("alice", lambda chats: chats.delete(chat_id, mesh.now))
    mesh.connect("alice", "node-3", move=True)
    mesh.kill("node-1")
    mesh.connect("bob", "node-3", move=True)
    mesh.settle()
    for _ in range(4):
        mesh.advance(15.0)
    assert [event.reason for event in mesh.apps["bob"].events if isinstance(event, ChatEnded)] == [m.CloseReason.STATE_LOST]


def test_an_end_that_a_home_told_one_app_and_does_not_stand_by_reaches_the_other_as_a_failure() -> None:
    """Its home, put back since, has the chat: it must not take what the app says then for a delete that nobody proves."""
    mesh, chat_id = open_kept_chat()
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    mesh._put("node-2", "alice", m.Closed(chat_id, m.CloseReason.EXPIRED))
    mesh.settle()
    mesh.restart_app("alice")
    mesh.connect("alice", "node-2")
    for _ in range(20):
        mesh.advance(15.0)
    told = [event.reason for app in ("alice", "bob") for event in mesh.apps[app].events if isinstance(event, ChatEnded)]
    assert told == [m.CloseReason.EXPIRED, m.CloseReason.RATCHET_FAILED]
    assert not any(node.records for node in mesh.nodes.values() if node.alive)
