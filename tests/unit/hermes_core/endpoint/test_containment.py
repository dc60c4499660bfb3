"""What goes wrong in one chat ends that chat: an exception at each call that its machine makes, and the other chat goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from hermes_core.endpoint import containment
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.containment import Containment
from hermes_core.endpoint.context import HomeStream
from hermes_core.endpoint.events import AppEvent, ChatEnded, ChatFailed, ChatResumed, MessageReceived
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import ChatId, derive_app_id
from hermes_core.protocol.messages import (
    ChatMessage,
    CloseReason,
    Delete,
    ErrorNotice,
    MoveOffer,
    Offer,
    PathState,
    Reject,
    Resume,
    Sealed,
)
from hermes_core.protocol.payload import DATA, parse_data_frame, parse_kind_and_seq
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_stream_keys
from tests.unit.hermes_core.endpoint.parts import HOME, HOME_KEYS, NOW, OTHER_HOME, OWN_KEY, PEER_KEY, FarEnds

PEER = derive_app_id(PEER_KEY.public_key)
ROOMS = tuple(str(Path(containment.__file__).parents[1] / room) for room in ("endpoint", "ratchet"))
NEXT_KEYS = make_stream_keys(b"2" * 32, dialled=True)
NEXT = HomeStream(HOME.node_id, HOME.public_key, *NEXT_KEYS, 0.0)


class DefectError(Exception):
    """What no author of a chat foresaw."""


class Bench:
    """An app with two chats; what its peer and its node say is at hand."""

    def __init__(self) -> None:
        self.app = AppChats(identity=OWN_KEY, params=AppParams(), random=SeededRandom("app"))
        self.app.connected(HOME.node_id, HOME.public_key, HOME_KEYS, NOW)
        self.events: list[AppEvent] = []
        self.sends: list[ChatMessage] = []
        self.defects: list[tuple[ChatId, Exception]] = []
        self.first, self.first_far = self.open()
        self.second, self.second_far = self.open()

    def open(self) -> tuple[ChatId, FarEnds]:
        chat_id = self.app.start_chat(PEER, NOW)
        far = FarEnds(chat_id)
        self.collect()
        self.app.receive(far.answer(self.sends[-1]), NOW)
        self.collect()
        far.take(self.sends[-1])
        return chat_id, far

    def collect(self) -> None:
        output = self.app.take_output()
        self.events += output.events
        self.sends += output.sends
        self.defects += output.defects

    def live_through(self) -> None:
        """Everything that can befall the first chat, up to the next stream; the second is there all the time."""
        app, first, far = self.app, self.first, self.first_far
        second_data = self.second_far.seal(1, b"to the second")
        for step in (
            lambda: app.send(first, b"one", NOW),
            lambda: app.receive(far.seal(1, b"to the first"), NOW),
            lambda: app.receive(second_data, NOW),
            lambda: app.acknowledge(first, 1, NOW),
            lambda: app.receive(PathState(first, up=False), NOW),
            lambda: app.receive(PathState(first, up=True), NOW),
            lambda: app.receive(far.seal_ack(1), NOW),
            lambda: app.rekey(first, NOW),
            lambda: app.receive(self.reject_last_offer(), NOW),
            lambda: app.receive(ErrorNotice(ErrorCode.REKEY_REQUIRED, ErrorScope.FRAME, first, "", 0), NOW),
            lambda: app.handle_timer(NOW + 6.0),
            lambda: app.handle_timer(NOW + 40.0),
            lambda: app.disconnected(NOW + 40.0),
            lambda: app.connected(NEXT.node_id, NEXT.public_key, NEXT_KEYS, NOW + 41.0),
            lambda: app.handle_timer(NOW + 60.0),
            lambda: app.delete(first, NOW + 60.0),
        ):
            with suppress(ProtocolError):  # INTERNAL to the owner; CHAT_NOT_FOUND afterwards
                step()
            self.collect()

    def reject_last_offer(self) -> Reject:
        return Reject(self.first, ErrorCode.REKEY_THROTTLED)

    def check_second(self) -> None:
        """It has what came meanwhile, resumes over the new stream, and carries messages both ways."""
        app, far, received = self.app, self.second_far, [each for each in self.events if isinstance(each, MessageReceived)]
        assert [each.content for each in received if each.chat_id == self.second] == [b"to the second"]
        claims = [each for each in self.sends if isinstance(each, Resume) and each.chat_id == self.second]
        assert claims, "it is claimed on the new stream"
        far.leg.leave_stream()
        ours = far.leg.claims(NEXT.binding)
        far.leg.resume(claims[-1].claims, NEXT.binding, NOW)
        self.sends.clear()
        app.receive(Resume(self.second, ours), NOW)
        app.receive(PathState(self.second, up=True), NOW)
        app.send(self.second, b"from the second", NOW)
        self.collect()
        assert ChatResumed(self.second) in self.events
        frames = [each.frame for each in self.sends if isinstance(each, Sealed)]
        payloads = [far.leg.open(frame, NOW, nonce=NEXT.send_nonce) for frame in frames]
        (data,) = (payload for payload in payloads if parse_kind_and_seq(payload)[0] == DATA)
        content = far.end_to_end.open(parse_data_frame(data), NOW, aad_suffix=(1).to_bytes(8, "big"))
        assert content[4:19] == b"from the second"
        assert self.app.chats.keys() == {self.second}


@contextmanager
def raising_at(place: int, chat_id: ChatId, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The so-and-so-manieth call within the machine of this chat raises; what was called is told."""
    inside: list[ChatId] = []
    called: list[str] = []

    def within(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Containment, chat: AppChat, act: Callable[..., Any], *args: Any) -> Any:
            def watched(chat: AppChat, *args: Any) -> Any:
                inside.append(chat.chat_id)
                try:
                    return act(chat, *args)
                finally:
                    inside.pop()

            return real(self, chat, watched, *args)

        return call

    def trace(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and inside and inside[-1] == chat_id and frame.f_code.co_filename.startswith(ROOMS):
            if frame.f_code.co_name == "__del__":
                return  # what it raises ends nothing
            called.append(frame.f_code.co_qualname)
            if len(called) == place:
                raise DefectError(called[-1])

    for name in ("run", "ask"):
        monkeypatch.setattr(Containment, name, within(getattr(Containment, name)))
    former = sys.gettrace()
    sys.settrace(trace)
    try:
        yield called
    finally:
        sys.settrace(former)
        monkeypatch.undo()


def run_with_defect(place: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Bench, list[str]]:
    bench = Bench()
    with raising_at(place, bench.first, monkeypatch) as called:
        bench.live_through()
    return bench, called


def test_an_exception_anywhere_in_one_chat_ends_that_chat_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    _, places = run_with_defect(0, monkeypatch)
    assert len(places) > 300, "the life of a chat"
    seen: set[str] = set()
    for place, name in enumerate(places, start=1):
        if places[:place].count(name) > 3:
            continue  # from here on it is called from where it was called before
        bench, called = run_with_defect(place, monkeypatch)
        seen.add(called[place - 1])
        (end,) = (each for each in bench.events if isinstance(each, ChatEnded) and each.chat_id == bench.first)
        ((blamed, defect),) = bench.defects
        assert (blamed, type(defect), str(defect)) == (bench.first, DefectError, name)
        assert ChatFailed(bench.first, ErrorCode.INTERNAL, "a defect of this app ended the chat: DefectError") in bench.events
        deletes = [sent for sent in bench.sends if isinstance(sent, Delete) and sent.chat_id == bench.first]
        assert end.reason is CloseReason.RATCHET_FAILED or any(delete.proofs for delete in deletes), name
        assert bench.first not in bench.app.chats, name
        bench.check_second()
    assert {"AppChat.send", "AppChat.receive", "AppChat.handle_timer", "AppChat.settle", "AppChat.connected"} <= seen


def test_a_chat_that_a_defect_ended_is_wiped_and_its_node_told(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    chat = bench.app.chats[bench.first]
    held = [epoch for channel in (chat.end_to_end, chat.leg) if (epoch := channel.epochs.current) is not None]

    def fail(_chat: AppChat, _now: float) -> None:
        raise DefectError

    monkeypatch.setattr(AppChat, "settle", lambda chat, now: fail(chat, now) if chat.chat_id == bench.first else None)
    bench.app.send(bench.first, b"x", NOW)
    bench.app.send(bench.second, b"x", NOW)
    bench.collect()
    assert chat.ending.over
    assert len(held) == 2
    assert all(epoch.mac.wiped for epoch in held)
    assert not chat.transfer.outgoing
    assert Delete(bench.first, failed=True) in bench.sends
    monkeypatch.undo()
    with pytest.raises(ProtocolError) as raised:
        bench.app.send(bench.first, b"y", NOW)
    assert raised.value.code is ErrorCode.CHAT_NOT_FOUND


@pytest.mark.parametrize("method", ["connected", "move"])
def test_a_defect_in_a_chat_that_moves_ends_that_chat_and_the_other_moves(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    real = getattr(AppChat, method)

    def fail(chat: AppChat, *args: Any) -> None:
        real(chat, *args)
        if chat.chat_id == bench.first:
            raise DefectError

    monkeypatch.setattr(AppChat, method, fail)
    chat = bench.app.chats[bench.first]
    bench.app.disconnected(NOW)
    bench.app.connected(OTHER_HOME.node_id, OTHER_HOME.public_key, make_stream_keys(b"2" * 32, dialled=True), NOW)
    bench.collect()
    bench.sends.clear()
    bench.app.move(NOW)
    bench.collect()
    assert [each.chat_id for each in bench.sends if isinstance(each, MoveOffer)][-1] == bench.second
    assert [blamed for blamed, _ in bench.defects] == [bench.first]
    assert chat.ending.over
    assert chat.moving.due is None, "the leg that was on its way is wiped with the chat"
    assert bench.app.chats.keys() == {bench.second}


def test_a_defect_in_a_wish_is_told_to_who_wished(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def fail(*_: object) -> None:
        raise DefectError("secret words")

    monkeypatch.setattr(AppChat, "rekey", fail)
    with pytest.raises(ProtocolError) as raised:
        bench.app.rekey(bench.first, NOW)
    assert raised.value.code is ErrorCode.INTERNAL
    assert "secret words" not in str(raised.value)
    bench.sends.clear()
    bench.collect()
    assert Delete(bench.first, failed=True) in bench.sends
    assert [code for code in bench.events if isinstance(code, ChatFailed)][-1].code is ErrorCode.INTERNAL


def test_an_offer_that_cannot_be_looked_at_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def fail(*_: object) -> None:
        raise DefectError

    monkeypatch.setattr(AppChat, "receive_first", fail)
    offer = FarEnds(ChatId(b"o" * 16)).offer()
    assert isinstance(offer, Offer)
    bench.app.receive(offer, NOW)
    bench.sends.clear()
    bench.collect()
    assert bench.sends == [Reject(offer.chat_id, ErrorCode.INTERNAL)]
    assert [blamed for blamed, _ in bench.defects] == [offer.chat_id]
    bench.app.send(bench.second, b"x", NOW)


@pytest.mark.parametrize("content", ["text", None, 7, bytearray(b"x"), memoryview(b"x"), ["x"]])
def test_content_of_another_type_leaves_no_trace(content: Any) -> None:
    bench = Bench()
    bench.sends.clear()
    with pytest.raises(TypeError, match="content is bytes"):
        bench.app.send(bench.first, content, NOW)
    bench.collect()
    assert bench.sends == []
    assert not bench.defects
    assert bench.app.send(bench.first, b"x", NOW) == 1
