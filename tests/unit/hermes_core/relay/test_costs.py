"""What an app's requests cost it: look-ups, unknown targets, positions passed over at resumes, cures after a rollback."""

from __future__ import annotations

import contextlib

import pytest

from hermes_core.endpoint.events import ChatEnded, ChatFailed
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import AppFound, FindApp
from hermes_core.relay import admission, cure_line
from hermes_core.relay.admission import LOOKUP_BURST, LOOKUP_REFILL_S, Admission
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld
from tests.model.parties import new_ledger
from tests.unit.hermes_core.relay.test_chat_resume import talk
from tests.unit.hermes_core.relay.test_sessions import APPS, IDS, Desk

NOBODY = AppId("a" * 32)


def throttled(world: HonestWorld) -> list[ErrorNotice]:
    """What the first app was refused for asking too much."""
    codes = {ErrorCode.HANDSHAKE_THROTTLED, ErrorCode.REKEY_THROTTLED}
    return [notice for notice in world.messages("node-0", "app-0", ErrorNotice) if notice.code in codes]


def test_who_looks_up_all_the_time_is_told_to_wait() -> None:
    desk = Desk()
    desk.connect(1, APPS[0])
    for _ in range(LOOKUP_BURST):
        assert isinstance(desk.receive(1, FindApp(IDS[0]))[0], AppFound)
    (notice,) = desk.receive(1, FindApp(IDS[0]))
    assert (notice.code, notice.scope, notice.chat_id) == (ErrorCode.HANDSHAKE_THROTTLED, ErrorScope.FRAME, None)
    assert notice.retry_after_ms == LOOKUP_REFILL_S * 1000
    desk.connect(2, APPS[1])
    assert desk.receive(2, FindApp(IDS[0]))[0].online, "another app is not held up"
    desk.pass_time(notice.retry_after_ms / 1000 + 0.001)
    assert isinstance(desk.receive(1, FindApp(IDS[0]))[0], AppFound)


def test_offers_to_nobody_are_charged_like_others() -> None:
    world = HonestWorld(params=ChatParams(max_handshakes_per_app=3, handshake_refill_s=10.0))
    for _ in range(5):
        chat_id = world.a.machine.start_chat(NOBODY, world.now)
        new_ledger(world.ledger, chat_id, world.a.name, world.b.name)
        world.a.collect()
        world.run()
    codes = [event.code for event in world.events_of(world.a, ChatFailed)]
    assert codes == [ErrorCode.TARGET_NOT_FOUND] * 3 + [ErrorCode.HANDSHAKE_THROTTLED] * 2


def test_a_node_cannot_use_up_what_an_app_of_another_may_ask() -> None:
    """It names whom it likes; what it asks in their name is charged to that name as it says it, and bounded as well."""
    params = ChatParams(max_handshakes_per_app=3)
    room = Admission(params, HonestWorld().n.running._index)
    liar = NodeId("liar")
    for _ in range(3):
        room.charge_handshake((liar, IDS[0]), 0.0)
    with pytest.raises(ProtocolError) as refused:
        room.charge_handshake((liar, IDS[0]), 0.0)
    assert refused.value.code is ErrorCode.HANDSHAKE_THROTTLED
    room.charge_handshake((None, IDS[0]), 0.0)
    room.charge_handshake((NodeId("another"), IDS[0]), 0.0)


def lose_frames(world: HonestWorld, chat_id: bytes, count: int) -> None:
    """The first app sends, and its stream goes before anything arrives: the node has to step as far when it is back."""
    for _ in range(count):
        world.send(world.a, chat_id)  # type: ignore[arg-type]
    world.cut("app-0", "node-0")
    world.reconnect()


def test_steps_of_resumes_are_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "STEP_BURST", 10)
    monkeypatch.setattr(admission, "STEP_REFILL_S", 1.0)
    world = HonestWorld(params=ChatParams(resume_retry_s=10.0))
    chat_id = world.open_chat()
    lose_frames(world, chat_id, 60)
    assert not throttled(world), "what it costs shows only afterwards"
    lose_frames(world, chat_id, 5)
    (notice,) = throttled(world)
    assert (notice.code, notice.scope) == (ErrorCode.HANDSHAKE_THROTTLED, ErrorScope.FRAME)
    assert 20_000 < notice.retry_after_ms <= 60_000
    world.pass_time(120.0)
    talk(world, chat_id)
    assert not world.events_of(world.a, ChatEnded)


def test_a_cure_is_not_charged_to_the_app() -> None:
    world = HonestWorld(params=ChatParams(rekey_refill_s=3600.0))
    chat_id = world.open_chat()
    for app in world.apps.values():
        for node in world.nodes.values():
            with contextlib.suppress(ProtocolError):  # until nothing is left
                while True:
                    node.running._admission.charge_rekey((None, app.app_id), world.now)
    world.n.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.n.flush()
    world.run()
    world.pass_time(60.0)
    talk(world, chat_id)
    assert world.a.machine.chats[chat_id].end_to_end.epoch == 2


def test_cures_come_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many chats need one: who has to wait is told for how long, the next one for longer."""
    monkeypatch.setattr(cure_line, "CURE_BURST", 1)
    monkeypatch.setattr(cure_line, "CURE_REFILL_S", 2.0)
    world = HonestWorld(nodes=1)
    chats = [world.open_chat() for _ in range(6)]
    world.n.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.n.flush()
    world.run()
    waits = [notice.retry_after_ms for notice in throttled(world)]
    assert waits
    assert waits == sorted(set(waits)), "each has a turn of its own"
    assert sum(world.chat_of(world.n, chat_id).state is ChatState.ACTIVE for chat_id in chats) == 1
    world.pass_time(120.0)
    for chat_id in chats:
        assert world.chat_of(world.n, chat_id).state is ChatState.ACTIVE
        talk(world, chat_id, 1)
