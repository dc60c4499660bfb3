"""What a flood of frames that were never right costs: their stream, and nobody anything else."""

from __future__ import annotations

import time

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatOffered, MessageReceived
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.ids import ChatId
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.protocol.messages import ErrorNotice, Sealed
from hermes_core.protocol.session import Heartbeat
from hermes_core.relay.rows import LATE_S
from hermes_core.relay.session import VAIN_BURST, VAIN_REFILL_S
from tests.model.parties import make_identity
from tests.support.random_sources import SeededRandom
from tests.unit.hermes_core.relay.test_sessions import NODE, PARAMS, Desk

CHAT_AT, EPOCH_AT = 2, 18
"""Where a frame names its chat and its epoch."""
FLOOD = 1_500
"""Frames of 91 bytes: 133 KiB."""


class BusyDesk(Desk):
    """Two apps with a chat at one node: app 0 will misbehave, app 1 was talked to before."""

    def __init__(self) -> None:
        super().__init__()
        self.apps: list[AppChats] = []
        self.received: list[MessageReceived] = []

    def join(self, identity: Identity) -> int:
        """A stream to a new app."""
        stream = len(self.apps)
        app = AppChats(identity=identity, params=AppParams(), random=SeededRandom(f"app {stream}"))
        self.connect(stream, identity)
        app.connected(NODE, self.said[stream][0].node_key, self.keys[stream].stream, self.now)
        self.apps.append(app)
        return stream

    def settle(self) -> None:
        """Deliver until nothing is under way."""
        handed = {stream: len(self.said.get(stream, [])) for stream in range(len(self.apps))}
        busy = True
        while busy:
            busy = False
            for stream, app in enumerate(self.apps):
                output = app.take_output()
                for event in output.events:
                    if isinstance(event, ChatOffered):
                        app.accept(event.chat_id, self.now)
                    elif isinstance(event, MessageReceived):
                        self.received.append(event)
                        app.acknowledge(event.chat_id, event.seq, self.now)
                for item in self.keys[stream].writer.tag(output.sends):
                    self.sessions.receive(stream, item, self.now)
                busy = busy or bool(output.sends or output.events)
            self.take()
            for stream, app in enumerate(self.apps):
                for message in self.said.get(stream, [])[handed[stream] :]:
                    app.receive(message, self.now)
                    busy = True
                handed[stream] = len(self.said.get(stream, []))

    def chat(self, first: int, second: int) -> ChatId:
        chat_id = self.apps[first].start_chat(self.apps[second].app_id, self.now)
        self.settle()
        return chat_id

    def talk(self, app: int, chat_id: ChatId, count: int) -> float:
        """CPU seconds of the node and both apps for so many messages, one after the other."""
        before, since = len(self.received), time.process_time()
        for _ in range(count):
            self.apps[app].send(chat_id, b"hello", self.now)
            self.settle()
        assert len(self.received) == before + count
        return time.process_time() - since

    def notices(self, stream: int) -> list[ErrorNotice]:
        return [message for message in self.said[stream] if isinstance(message, ErrorNotice)]


@pytest.fixture
def desk() -> BusyDesk:
    desk = BusyDesk()
    for fill in (1, 2):
        desk.join(make_identity(bytes([fill]) * 32))
    return desk


def forge(desk: BusyDesk, chat_id: ChatId, ahead: int, **changed: int) -> Sealed:
    """A frame of app 0's leg that nobody sealed, so many positions ahead."""
    epoch = desk.apps[0].chats[chat_id].leg.epochs.require_current()
    frame = bytearray(epoch.send_prefix + (epoch.send.next + ahead).to_bytes(8, "big") + bytes(60))
    for place, value in changed.items():
        frame[int(place.removeprefix("at"))] = value
    return Sealed(bytes(frame))


def flood(desk: BusyDesk, frame: Sealed) -> float:
    """CPU seconds of so many of them."""
    since = time.process_time()
    for _ in range(FLOOD):
        desk.sessions.receive(0, frame, desk.now)
        desk.take()
    return time.process_time() - since


@pytest.mark.parametrize(
    ("ahead", "changed"), [(1024, {}), (0, {}), (0, {"at1": 3})], ids=["ahead", "not authentic", "malformed"]
)
def test_a_flood_of_forged_frames_costs_no_more_than_some_messages(desk: BusyDesk, ahead: int, changed: dict[str, int]) -> None:
    """133 KiB of frames 1,024 positions ahead were 3.3 s of CPU, and another chat's round trip went from 15 ms to 1.6 s."""
    chat_id = desk.chat(0, 1)
    desk.talk(0, chat_id, 20)
    honest_s = min(desk.talk(0, chat_id, 50) for _ in range(3))
    flood_s = flood(desk, forge(desk, chat_id, ahead, **changed))
    print(f"{FLOOD} forged frames: {flood_s * 1000:.1f} ms, 50 messages: {honest_s * 1000:.1f} ms")
    assert desk.end_of(0)[1] is ErrorScope.STREAM
    assert flood_s < honest_s


def test_a_position_ahead_ends_its_stream_at_once(desk: BusyDesk) -> None:
    chat_id = desk.chat(0, 1)
    desk.receive(0, forge(desk, chat_id, 1))
    assert desk.end_of(0) == (ErrorCode.RATCHET_DESYNC, ErrorScope.STREAM, True)
    assert not desk.notices(0), "the chat is not at fault"
    assert 1 not in desk.ended


def test_frames_that_are_never_right_use_up_the_budget_of_their_stream(desk: BusyDesk) -> None:
    chat_id = desk.chat(0, 1)
    wrong = [forge(desk, chat_id, 0), forge(desk, chat_id, 0, at22=1), forge(desk, chat_id, 0, at1=3)]
    assert len(wrong) == PARAMS.max_invalid_batches
    for frame in wrong:
        desk.receive(0, frame)
    assert [notice.code for notice in desk.notices(0)] == [
        ErrorCode.AUTH_FAILED,
        ErrorCode.INVALID_FRAME,
        ErrorCode.INVALID_FRAME,
    ]
    assert 0 not in desk.ended
    desk.talk(0, chat_id, 1)
    desk.receive(0, forge(desk, chat_id, 0))
    assert desk.end_of(0) == (ErrorCode.AUTH_FAILED, ErrorScope.STREAM, False)


def forge_in_vain(desk: BusyDesk, chat_id: ChatId) -> list[Sealed]:
    """Of a position that was used, of an epoch that nobody knows, of a chat that nobody has."""
    used = forge(desk, chat_id, -1)
    of_another_epoch, of_no_chat = bytearray(used.frame), bytearray(used.frame)
    of_another_epoch[EPOCH_AT : EPOCH_AT + 4] = (7).to_bytes(4, "big")
    of_no_chat[CHAT_AT] ^= 1
    return [used, Sealed(bytes(of_another_epoch)), Sealed(bytes(of_no_chat))]


def wait(desk: BusyDesk, seconds: float) -> None:
    """Both apps are heard meanwhile."""
    until = desk.now + seconds
    while desk.now < until:
        desk.pass_time(min(PARAMS.heartbeat_interval_s, until - desk.now))
        for stream in range(len(desk.apps)):
            desk.receive(stream, Heartbeat(1, reply=True))


def exhaust(desk: BusyDesk, frame: Sealed) -> int:
    """How many of it are taken before the stream ends."""
    taken = 0
    while 0 not in desk.ended and taken < 2 * VAIN_BURST:
        desk.receive(0, frame)
        taken += 1
    return taken - 1


@pytest.mark.parametrize("which", [0, 1, 2], ids=["used position", "unknown epoch", "unknown chat"])
def test_frames_that_are_sent_in_vain_are_charged_to_their_stream(desk: BusyDesk, which: int) -> None:
    """So many that no honest sender comes near; they are answered until then."""
    chat_id = desk.chat(0, 1)
    desk.talk(0, chat_id, 1)
    wait(desk, LATE_S + 1)
    frame = forge_in_vain(desk, chat_id)[which]
    assert exhaust(desk, frame) == VAIN_BURST
    assert desk.end_of(0) == (ErrorCode.LIMIT_EXCEEDED, ErrorScope.STREAM, False)
    assert len(desk.notices(0)) == VAIN_BURST + 1
    assert 1 not in desk.ended


def test_frames_that_are_refused_together_are_answered_once(desk: BusyDesk) -> None:
    """Of each reason: to answer costs more than to refuse, and says nothing about which frame it is for."""
    chat_id = desk.chat(0, 1)
    desk.talk(0, chat_id, 1)
    used, of_another_epoch, _ = forge_in_vain(desk, chat_id)
    for frame in [used] * 200 + [of_another_epoch] * 200:
        desk.sessions.receive(0, frame, desk.now)
    desk.take()
    assert [notice.code for notice in desk.notices(0)] == [ErrorCode.REPLAYED_FRAME, ErrorCode.KEY_VERSION_MISMATCH]
    desk.receive(0, used)
    assert len(desk.notices(0)) == 3, "the next output is another one"


def test_a_few_frames_in_vain_are_forgiven_in_time(desk: BusyDesk) -> None:
    chat_id = desk.chat(0, 1)
    desk.talk(0, chat_id, 1)
    for _ in range(20):
        wait(desk, 50 * VAIN_REFILL_S)
        for _ in range(50):
            for frame in forge_in_vain(desk, chat_id)[:1]:
                desk.receive(0, frame)
    assert 0 not in desk.ended


@pytest.mark.parametrize("how", ["opened", "ended", "quarantined"])
def test_frames_whose_sender_may_not_know_better_cost_nothing(desk: BusyDesk, how: str) -> None:
    """However many were under way when their chat changed; half a minute later they are charged."""
    chat_id = desk.chat(0, 1)
    desk.talk(0, chat_id, 1)
    used = forge(desk, chat_id, -1)
    if how != "opened":
        wait(desk, 2 * LATE_S)
    if how == "ended":
        desk.apps[1].delete(chat_id, desk.now)
        desk.settle()
    elif how == "quarantined":
        desk.relay.chats.take_verdict(ResumeVerdict.ROLLED_BACK, desk.now)
        desk.take()
    for _ in range(VAIN_BURST + 10):
        desk.receive(0, used)
    assert 0 not in desk.ended
    wait(desk, LATE_S + 1)
    assert exhaust(desk, used) == VAIN_BURST
