"""A node's steps: readiness at each, the sealed admin view, tasks and the first failure, calls that are drawn together."""

from __future__ import annotations

import asyncio
import errno
import inspect
import io
import json
from types import SimpleNamespace
from typing import Any, cast, get_args
from unittest.mock import Mock

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, KeystoreIOError, ProtocolError
from hermes_core.mesh.messages import MemberState
from hermes_node.admin.resume import RestoredCounts
from hermes_node.admin.view import AdminView, SealedView
from hermes_node.errors import NodeError
from hermes_node.keystore.identity import StoredIdentity
from hermes_node.lifecycle.coalesced import Coalesced
from hermes_node.lifecycle.readiness import STALE_COMMIT_S, explain_unreadiness
from hermes_node.lifecycle.run import _log_defect
from hermes_node.lifecycle.steps import NodeStep, Opened, Restored, SealedNode, Serving, Wiped
from hermes_node.lifecycle.tasks import NodeTasks
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.alone import LoneNode
from hermes_node.mesh.interface import Mesh
from hermes_node.mesh.seeds import JoinState
from hermes_proto.v2 import admin_pb2
from tests.component.memory.chats_child import World

NOTHING = cast("Any", None)  # parts that readiness does not look at


class Joining(LoneNode):
    join_state = JoinState.JOINING


def serving(mesh: Mesh, oldest_age_s: float = 0.0) -> Serving:
    return Serving(cast("Any", SimpleNamespace(store=SimpleNamespace(oldest_age_s=oldest_age_s))), mesh, ())


RESTORED = Restored(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
LEAVING = "the node is draining"
STEPS: list[tuple[NodeStep, list[str], list[str]]] = [
    (SealedNode(), ["the keystore is sealed"], []),
    (Opened(NOTHING, NOTHING), ["chats are being restored from the keystore"], []),
    (RESTORED, ["the app server does not listen yet"], [LEAVING]),
    (serving(Joining()), [JoinState.JOINING.value], [LEAVING]),
    (serving(LoneNode()), [], [LEAVING]),
    (serving(LoneNode(), STALE_COMMIT_S), [], [LEAVING]),
    (serving(LoneNode(), STALE_COMMIT_S + 0.1), ["the keystore's disk does not answer"], [LEAVING]),
    (Wiped(), ["the keystore was wiped"], []),
]


@pytest.mark.parametrize(("step", "reasons", "more"), STEPS, ids=lambda value: type(value).__name__)
def test_readiness_names_what_is_missing(step: NodeStep, reasons: list[str], more: list[str]) -> None:
    assert explain_unreadiness(step, draining=False) == reasons
    assert explain_unreadiness(step, draining=True) == reasons + more


def test_every_step_is_covered() -> None:
    assert {type(step) for step, _, _ in STEPS} == set(get_args(NodeStep))


async def test_a_sealed_view_refuses_everything_with_the_first_reason() -> None:
    view = SealedView(lambda: ["the keystore was wiped", "more"])
    questions = [name for name, _ in inspect.getmembers(AdminView, inspect.isfunction) if not name.startswith("_")]
    assert len(questions) == 7
    for name in questions:
        bodies = {"check_resume": admin_pb2.ResumeWitness(), "take_mark": admin_pb2.HandedBack()}
        arguments = (bodies[name],) if name in bodies else ()
        with pytest.raises(ProtocolError) as refused:
            await getattr(view, name)(*arguments)
        assert (refused.value.code, refused.value.detail) == (ErrorCode.KEYSTORE_SEALED, "the keystore was wiped")


def test_a_lone_node_is_the_only_member_and_knows_of_no_other_apps() -> None:
    mesh = LoneNode()
    seen = mesh.measure()
    assert (mesh.describe().members, seen.entries_held) == ((), 0)
    assert {state: seen.members[state] for state in MemberState} == dict.fromkeys(MemberState, 0) | {MemberState.ALIVE: 1}
    assert mesh.join_state is JoinState.ALONE


async def _fail(error: Exception) -> None:
    raise error


async def test_the_first_part_that_fails_is_what_the_node_fails_with() -> None:
    stream = io.StringIO()
    tasks = NodeTasks(EventLog(node_id="n", stream=stream))
    tasks.raise_failure()  # nothing yet
    tasks.spawn(_fail(KeystoreIOError("the first")), "one")
    tasks.spawn(asyncio.Event().wait(), "waiting")  # type: ignore[arg-type]
    with pytest.raises(KeystoreIOError, match="the first"):
        await tasks.wait_for_failure(asyncio.Event())
    tasks.spawn(_fail(ValueError("secret")), "two")
    await asyncio.sleep(0)
    await tasks.cancel()
    with pytest.raises(KeystoreIOError, match="the first"):
        tasks.raise_failure()
    assert stream.getvalue().count("unexpected_error") == 1  # a failure that has a name is none
    assert '"where":"two"' in stream.getvalue()
    assert "secret" not in stream.getvalue()


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "system_fault"),
        (ConnectionResetError(), "system_fault"),
        (ValueError(), "unexpected_error"),
    ],
)
def test_a_fault_of_the_machine_is_no_defect(error: Exception, event: str) -> None:
    stream = io.StringIO()
    _log_defect(EventLog(node_id="n", stream=stream), {"exception": error, "message": "socket.accept() out of system resource"})
    told = json.loads(stream.getvalue())
    assert (told["event"], told["level"]) == (event, "warning" if event == "system_fault" else "error")


async def test_a_part_with_a_defect_is_named_without_its_text() -> None:
    tasks = NodeTasks(EventLog(node_id="n", stream=io.StringIO()))
    tasks.spawn(_fail(ValueError("secret")), "chats")
    with pytest.raises(NodeError, match=r"^chats: ValueError$"):
        await tasks.wait_for_failure(asyncio.Event())


async def test_a_stop_ends_the_waiting() -> None:
    tasks, stop = NodeTasks(EventLog(node_id="n", stream=io.StringIO())), asyncio.Event()
    stop.set()
    await tasks.wait_for_failure(stop)


async def test_many_requests_are_one_call_and_a_later_one_is_another() -> None:
    calls: list[int] = []
    directory = Coalesced(lambda: calls.append(1), 0.01)
    for _ in range(5):
        directory.request()
    assert calls == []
    await asyncio.sleep(0.05)
    assert len(calls) == 1
    directory.request()
    await asyncio.sleep(0.05)
    assert len(calls) == 2


def test_what_a_node_that_ends_wipes_besides_its_keystore() -> None:
    identity, chats = Identity.generate(), Mock()
    stored = StoredIdentity(identity, incarnation=1)
    Restored(Mock(), stored, chats, Mock(), RestoredCounts(0, 0), Mock()).wipe()
    chats.wipe.assert_called_once_with()
    with pytest.raises(ValueError, match="wiped"):
        identity.sign(b"data")


def test_the_chats_of_a_node_that_ends() -> None:
    world = World()
    chat_id = world.apps[0].start_chat(world.apps[1].app_id, world.now)
    world.settle()
    world.talk(chat_id, 2)
    node = world.nodes[0]
    epochs = [hop.channel.epochs.current for chat in node._chats.by_id.values() for hop in chat.hops.pair]
    assert len(epochs) == 2
    node.wipe()
    for epoch in epochs:
        assert epoch is not None
        assert epoch.mac.wiped
        assert epoch.ratchet.wiped
        assert not any(epoch.send._key + epoch.recv._key + epoch.send._reserved_key + epoch.recv._reserved_key)
