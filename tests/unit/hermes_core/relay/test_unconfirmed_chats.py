"""First handshakes whose end one side never saw: the chat opens wherever the apps are by then, or ends at both."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_core.endpoint.events import ChatEnded, ChatReady
from hermes_core.ids import ChatId
from hermes_core.protocol import messages as m
from tests.support.moving_mesh import MovingMesh

POINTS: dict[str, tuple[str, str, type]] = {
    "at its home": ("node-1", "node-0", m.Answer),
    "between the homes": ("node-0", "node-1", m.Confirm),
    "at the other app's home": ("node-0", "alice", m.Answer),
    "at the other app": ("alice", "node-0", m.Confirm),
}
"""How far Bob's answer has come when he goes: the message (from, to, type) that is delivered next."""


def offer_chat(*homes: str) -> tuple[MovingMesh, ChatId]:
    """Alice has offered Bob a chat; nothing was delivered."""
    mesh = MovingMesh(3, durable=True)
    for name, home in zip(("alice", "bob"), homes, strict=True):
        mesh.connect(name, home)
    mesh.settle()
    started: list[ChatId] = []
    mesh.do("alice", lambda chats: started.append(chats.start_chat(mesh.apps["bob"].app_id, mesh.now)))
    return mesh, started[0]


def deliver_until(mesh: MovingMesh, sender: str, receiver: str, kind: type) -> Any:
    """The next message to be delivered is this one."""
    while mesh.queue[0][:2] != (sender, receiver) or not isinstance(mesh.queue[0][2], kind):
        mesh.deliver()
    return mesh.queue[0][2]


def leave(mesh: MovingMesh, how: str) -> None:
    if how == "killed":
        mesh.restart_app("bob")
    elif how == "cut":
        mesh.disconnect("bob")
    if how != "replaced":  # else the node sees the new stream before it misses the old one
        mesh.settle()
        mesh.advance(1.0)


def wait(mesh: MovingMesh, seconds: float) -> None:
    for _ in range(int(seconds / 5.0)):
        mesh.advance(5.0)


def check_talks(mesh: MovingMesh, chat_id: ChatId) -> None:
    for name in ("alice", "bob"):
        mesh.say(name, chat_id, f"{name} is here".encode())
    mesh.settle()
    assert mesh.apps["bob"].contents()[-1:] == [b"alice is here"]
    assert mesh.apps["alice"].contents()[-1:] == [b"bob is here"]
    for app in mesh.apps.values():
        assert not app.chats.chats[chat_id].transfer.outgoing, f"{app.name} waits for an acknowledgement"
        assert sum(isinstance(event, ChatReady) for event in app.events) == 1


def ends(mesh: MovingMesh, name: str) -> list[m.CloseReason]:
    return [event.reason for event in mesh.apps[name].events if isinstance(event, ChatEnded)]


@pytest.mark.parametrize("target", ["node-1", "node-2", "node-0"])
@pytest.mark.parametrize("how", ["killed", "cut", "replaced"])
@pytest.mark.parametrize("point", POINTS)
def test_an_app_that_answered_and_goes_before_the_confirmation_has_the_chat_wherever_it_comes_up(
    point: str, how: str, target: str
) -> None:
    mesh, chat_id = offer_chat("node-0", "node-1")
    deliver_until(mesh, *POINTS[point])
    leave(mesh, how)
    mesh.connect("bob", target, move=target != "node-1")
    mesh.settle()
    wait(mesh, 30.0)
    check_talks(mesh, chat_id)


def test_its_home_may_be_lost_for_good() -> None:
    mesh, chat_id = offer_chat("node-0", "node-1")
    deliver_until(mesh, *POINTS["at the other app"])
    leave(mesh, "killed")
    mesh.kill("node-1")
    mesh.settle()
    mesh.connect("bob", "node-2", move=True)
    mesh.settle()
    wait(mesh, 30.0)
    check_talks(mesh, chat_id)


@pytest.mark.parametrize("target", ["node-1", "node-2"])
def test_an_answer_that_nobody_heard_ends_as_a_chat_that_never_was(target: str) -> None:
    mesh, chat_id = offer_chat("node-0", "node-1")
    deliver_until(mesh, "bob", "node-1", m.Answer)
    leave(mesh, "killed")
    mesh.connect("bob", target, move=target != "node-1")
    mesh.settle()
    wait(mesh, 30.0)
    for name in ("alice", "bob"):
        assert ends(mesh, name) == [m.CloseReason.ROUTE_UNAVAILABLE]
    assert not any(chat_id in node.records for node in mesh.nodes.values())


def test_a_home_that_wipes_its_chats_is_a_lost_home_for_who_has_only_answered_as_well() -> None:
    mesh, chat_id = offer_chat("node-0", "node-1")
    deliver_until(mesh, *POINTS["at the other app"])
    mesh.nodes["node-1"].chats.close_all(m.CloseReason.NODE_SHUTDOWN, mesh.now)
    mesh._collect_node(mesh.nodes["node-1"])
    mesh.settle()
    wait(mesh, 60.0)
    assert ends(mesh, "bob") == []
    check_talks(mesh, chat_id)


def move_before_the_home_heard_the_confirmation(*, told: bool) -> tuple[MovingMesh, ChatId]:
    """Alice's home never got her confirmation, gave the chat up, and heard of her move to node-2 only where `told`."""
    mesh, chat_id = offer_chat("node-0", "node-1")
    deliver_until(mesh, "alice", "node-0", m.Confirm)
    if not told:
        mesh.part("node-0", "node-1")
        mesh.part("node-0", "node-2")
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    wait(mesh, 60.0)
    check_talks(mesh, chat_id)
    return mesh, chat_id


def test_a_home_that_waits_for_a_confirmation_hears_that_its_app_is_elsewhere_and_lets_go() -> None:
    mesh, chat_id = move_before_the_home_heard_the_confirmation(told=True)
    assert chat_id not in mesh.nodes["node-0"].records
    assert chat_id not in mesh.nodes["node-0"].tombstones


def test_a_home_that_missed_the_confirmation_takes_in_again_what_lives_elsewhere() -> None:
    mesh, chat_id = move_before_the_home_heard_the_confirmation(told=False)
    assert mesh.nodes["node-0"].tombstones[chat_id].notices[0].reason is m.CloseReason.EXPIRED
    mesh.lost.add(("node-1", m.ClosedAck))  # so that the tombstone stays
    mesh.heal("node-0", "node-1")
    mesh.heal("node-0", "node-2")
    mesh.connect("alice", "node-0", move=True)
    mesh.settle()
    wait(mesh, 30.0)
    for name in ("alice", "bob"):
        assert ends(mesh, name) == []
    check_talks(mesh, chat_id)


def test_a_chat_that_was_idle_for_too_long_ends_as_that_for_who_moves_it_later() -> None:
    mesh, chat_id = offer_chat("node-0", "node-1")
    mesh.settle()
    check_talks(mesh, chat_id)
    mesh.kill("node-0")
    mesh.settle()
    mesh.advance(mesh.params.idle_timeout_s + 1.0)
    assert ends(mesh, "bob") == [m.CloseReason.EXPIRED]
    mesh.connect("alice", "node-2", move=True)
    mesh.settle()
    assert ends(mesh, "alice") == [m.CloseReason.EXPIRED]


@pytest.mark.parametrize("killed", [False, True])
def test_a_tieline_whose_confirmation_was_lost_is_resumed_from_the_claims_of_who_sent_it(killed: bool) -> None:
    """One node uses the epoch and claims it; the other one had nothing to claim, and answers with the claims it has now."""
    mesh = MovingMesh(2)
    mesh.connect("alice", "node-0")
    mesh.connect("bob", "node-1")
    mesh.settle()
    mesh.lost.add(("node-0", m.Confirm))
    chat_id = mesh.start_chat()
    mesh.settle()
    if killed:
        mesh.kill("node-1")
    else:
        mesh.part("node-0", "node-1")
    mesh.settle()
    mesh.lost.clear()
    if killed:
        mesh.restart("node-1")
        mesh.connect("bob", "node-1")
    else:
        mesh.heal("node-0", "node-1")
    mesh.settle()
    mesh.say("alice", chat_id, b"it is open")
    mesh.settle()
    assert mesh.apps["bob"].contents() == [b"it is open"]
