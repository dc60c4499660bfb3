"""Streams of apps under a clock: proof, replacement, bounds, heartbeats, silence, look-ups, malformed batches, the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId, derive_app_id, node_party
from hermes_core.keystore.mark import MARK_BYTES, encode_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.homes.machine import Overtaken
from hermes_core.mesh.homes.searches import Found
from hermes_core.mesh.messages import HomeFound, NodeDescriptor
from hermes_core.protocol.claims import verify_claim
from hermes_core.protocol.messages import ErrorNotice, PathState, Sealed
from hermes_core.protocol.session import AppFound, Challenge, Connected, FindApp, Heartbeat, NewerHome, NodeChange, SeekHome
from hermes_core.relay.admission import STRANGERS_BURST
from hermes_core.relay.directory import ANSWERED_S
from hermes_core.relay.events import BatchRefused, SessionEnded, SessionOpened, SessionRefused, SessionReplaced
from hermes_core.relay.output import End, NodeOutput, Send
from hermes_core.relay.params import ChatParams, SessionParams
from hermes_core.relay.relay import Relay
from hermes_core.relay.strangers import Origin
from hermes_core.relay.whereabouts import ANSWER_S
from hermes_core.session.control import TAG_BYTES, ControlWriter, Tagged
from hermes_core.session.keys import SessionKeys
from tests.model.parties import make_identity
from tests.support.homes_world import make_home_entry
from tests.support.random_sources import SeededRandom
from tests.support.sessions import AppEnd, ScriptedMarks, make_session_keys

NODE = NodeId("node-0")
THERE_IDENTITY = make_identity(b"t" * 32)
THERE = node_party(NodeId("node-1"), THERE_IDENTITY.public_key)
PARAMS = SessionParams(
    heartbeat_interval_s=5.0,
    connect_timeout_s=10.0,
    max_sessions=2,
    max_unauthenticated_streams=2,
    max_invalid_batches=3,
    window_frames=16,
)
APPS = [make_identity(bytes([fill]) * 32) for fill in (1, 2, 3)]
IDS = [derive_app_id(identity.public_key) for identity in APPS]
STAMP = 900_000
MALFORMED = ProtocolError(ErrorCode.INVALID_FRAME, "not a batch")


class Desk:
    """A relay and what it says on each stream; `now` is moved by hand."""

    def __init__(self) -> None:
        identity = self.identity = make_identity(b"n" * 32)
        self.marks = ScriptedMarks()
        self.relay = Relay(
            identity=identity, node_id=NODE, chats=ChatParams(), sessions=PARAMS, marks=self.marks, random=SeededRandom(1)
        )
        self.sessions = self.relay.sessions
        self.now = 1000.0
        self.origin: Origin = ("192.0.2.1",)
        self.relay.begin_pass(self.now)
        self.said: dict[int, list[Any]] = {}
        self.ended: dict[int, End] = {}
        self.events: list[Any] = []
        self.handed_in: list[bytes] = []
        self.looked_up: list[AppId] = []
        self.keys: dict[int, SessionKeys] = {}
        """Of the apps, and of nodes that are linked."""
        self.writers: dict[int, ControlWriter] = {}
        """The relay's own."""

    def take(self) -> NodeOutput:
        output = self.relay.take_output()
        for action in output.actions:
            if isinstance(action, Send):
                self.said.setdefault(action.stream, []).append(action.message)
            elif isinstance(action, End):
                self.ended[action.stream] = action
            else:
                self.writers[action.stream] = action.writer
        self.events += output.events
        self.looked_up += output.look_ups
        return output

    def find(self, app: Identity, stamp: int, *, online: bool = True) -> None:
        """A look-up finds the app on the other node."""
        entry = make_home_entry(THERE_IDENTITY, "node-1", app, stamp, online=online)
        self.sessions.take_found(Found(entry.app_id, entry, online=online, complete=True), self.now)

    def place(self, app_id: AppId) -> tuple[NodeId | None, bool]:
        return self.relay.chats.find_place(app_id)

    def open(self, stream: int) -> Challenge | None:
        self.sessions.opened(stream, self.origin, self.now)
        self.take()
        return next((message for message in self.said.get(stream, []) if isinstance(message, Challenge)), None)

    def challenge(self, stream: int) -> Challenge:
        return next(message for message in self.said[stream] if isinstance(message, Challenge))

    def connect(self, stream: int, identity: Identity, mark: bytes = b"") -> AppEnd:
        challenge = self.open(stream)
        assert challenge is not None
        app = AppEnd(identity, challenge, mark=mark)
        self.sessions.receive(stream, app.connect, self.now)
        self.handed_in += self.take().marks
        connected = self.said[stream][-1]
        if isinstance(connected, Connected):
            self.keys[stream] = app.complete(connected)
        return app

    def link(self, stream: int, node_id: str, identity: Identity) -> None:
        """A node's stream, which needs no more than its keys here."""
        self.keys[stream], ours = make_session_keys()
        self.sessions.node_linked(stream, NodeId(node_id), identity.public_key, ours, self.now)

    def receive(self, stream: int, message: Any) -> list[Any]:
        """As its sender would send it: with a tag, once it has keys."""
        (item,) = self.keys[stream].writer.tag([message]) if stream in self.keys else [message]
        return self.receive_raw(stream, item)

    def receive_raw(self, stream: int, item: Any) -> list[Any]:
        before = len(self.said.get(stream, []))
        self.sessions.receive(stream, item, self.now)
        self.take()
        return self.said.get(stream, [])[before:]

    def pass_time(self, seconds: float) -> None:
        """To each timer in turn, as a driver does."""
        until = self.now + seconds
        while (due := self.relay.next_timer()) is not None and due <= until:
            self.now = max(self.now, due)
            self.relay.begin_pass(self.now)
            self.relay.handle_timer(self.now)
            self.take()
        self.now = until
        self.relay.begin_pass(self.now)

    def end_of(self, stream: int) -> tuple[ErrorCode, ErrorScope, bool]:
        notice = self.ended[stream].notice
        assert notice is not None
        return notice.code, notice.scope, self.ended[stream].discard


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_app_that_answers_its_challenge_is_connected(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    _, connected = desk.said[1]
    assert isinstance(connected, Connected)
    assert (connected.app_id, connected.heartbeat_interval_ms, connected.window_frames) == (IDS[0], 5000, 16)
    assert desk.sessions.claims().keys() == {IDS[0]}
    assert desk.events == [SessionOpened(IDS[0])]


def test_challenges_differ_and_serve_one_answer(desk: Desk) -> None:
    first, second = desk.open(1), desk.open(2)
    assert first is not None
    assert second is not None
    assert first.challenge != second.challenge
    answer = AppEnd(APPS[0], first).connect
    desk.receive(2, answer)
    assert desk.end_of(2) == (ErrorCode.AUTH_FAILED, ErrorScope.STREAM, False)
    desk.receive(1, answer)
    assert desk.sessions.claims().keys() == {IDS[0]}
    desk.receive(1, answer)
    assert desk.end_of(1) == (ErrorCode.AUTH_FAILED, ErrorScope.STREAM, True)


LATER, UNRELATED = bytes([1]) * MARK_BYTES, bytes([2]) * MARK_BYTES


def test_an_app_is_given_the_mark_of_the_moment(desk: Desk) -> None:
    for stream in (1, 2):
        own = desk.marks.own = encode_mark(sign_mark(desk.identity, b"i" * 16, KeystoreMark(1, stream)))
        desk.connect(stream, APPS[stream])
        assert desk.said[stream][-1].mark == own


def test_who_hands_a_proof_back_is_taken_in_once_it_was_judged(desk: Desk) -> None:
    desk.marks.proofs.add(LATER)
    app = desk.connect(1, APPS[0], LATER)
    other = desk.connect(2, APPS[1], LATER)
    assert desk.handed_in == [LATER, LATER]
    assert not desk.sessions.claims().keys()
    desk.sessions.mark_judged(UNRELATED, desk.now)
    assert not desk.sessions.claims().keys()
    desk.marks.proofs.clear()
    desk.sessions.mark_judged(LATER, desk.now)
    desk.take()
    assert desk.sessions.claims().keys() == {IDS[0], IDS[1]}
    for stream, end in ((1, app), (2, other)):
        assert end.complete(desk.said[stream][-1])
    desk.sessions.mark_judged(LATER, desk.now)
    desk.take()
    assert len(desk.said[1]) == 2, "it is told once that it is connected"


def test_a_mark_that_proves_nothing_keeps_nobody_waiting(desk: Desk) -> None:
    desk.marks.proofs.add(LATER)
    desk.connect(1, APPS[0], UNRELATED)
    assert not desk.handed_in
    assert desk.sessions.claims().keys() == {IDS[0]}


def test_nobody_who_has_not_proved_who_they_are_hands_a_mark_in(desk: Desk) -> None:
    desk.marks.proofs.add(LATER)
    challenge = desk.open(1)
    assert challenge is not None
    answer = AppEnd(APPS[0], challenge).connect
    desk.sessions.receive(1, dataclasses.replace(answer, mark=LATER), desk.now)  # put in by somebody on the way
    assert not desk.take().marks
    assert desk.end_of(1) == (ErrorCode.AUTH_FAILED, ErrorScope.STREAM, False)


@pytest.mark.parametrize("then", ["another frame", "time", "gone"])
def test_whoever_waits_for_the_verdict_has_said_all_and_waits_no_longer_than_a_challenge(desk: Desk, then: str) -> None:
    desk.marks.proofs.add(LATER)
    app = desk.connect(1, APPS[0], LATER)
    if then == "another frame":
        desk.receive(1, app.connect)
        assert desk.end_of(1) == (ErrorCode.INVALID_FRAME, ErrorScope.STREAM, False)
    elif then == "time":
        desk.pass_time(PARAMS.connect_timeout_s)
        assert desk.end_of(1) == (ErrorCode.ROUTE_UNAVAILABLE, ErrorScope.STREAM, False)
    desk.sessions.closed(1, desk.now)
    desk.sessions.mark_judged(LATER, desk.now)
    desk.take()
    assert not desk.sessions.claims().keys()


@pytest.mark.parametrize("first", [Heartbeat(1, reply=False), FindApp(IDS[0]), PathState(bytes(16), up=True)])  # type: ignore[arg-type]
def test_nothing_but_connect_comes_first(desk: Desk, first: Any) -> None:
    desk.open(1)
    desk.receive(1, first)
    assert desk.end_of(1) == (ErrorCode.INVALID_FRAME, ErrorScope.STREAM, False)
    assert desk.events == [SessionRefused(ErrorCode.INVALID_FRAME, "the first frame must be Connect")]
    desk.sessions.closed(1, desk.now)
    assert desk.relay.next_timer() is None


def test_a_batch_that_cannot_be_read_ends_an_unproven_stream(desk: Desk) -> None:
    desk.open(1)
    desk.sessions.malformed(1, MALFORMED, desk.now)
    desk.take()
    assert desk.end_of(1) == (ErrorCode.INVALID_FRAME, ErrorScope.STREAM, False)


def test_an_app_that_does_not_answer_in_time_is_refused(desk: Desk) -> None:
    desk.open(1)
    desk.pass_time(9.9)
    assert not desk.ended
    desk.pass_time(0.2)
    assert desk.end_of(1) == (ErrorCode.ROUTE_UNAVAILABLE, ErrorScope.STREAM, False)


def test_unproven_streams_are_bounded_and_give_their_place_back(desk: Desk) -> None:
    desk.open(1)
    desk.open(2)
    assert desk.open(3) is None
    assert desk.end_of(3)[0] is ErrorCode.LIMIT_EXCEEDED
    assert desk.ended[3].notice is not None
    assert desk.ended[3].notice.retry_after_ms > 0
    desk.sessions.closed(2, desk.now)  # one that went away
    assert desk.open(4) is not None
    desk.pass_time(11.0)  # those that never answered
    assert desk.open(5) is not None


def test_a_newer_stream_replaces_the_older_and_outlives_its_end(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.connect(2, APPS[0])
    assert desk.end_of(1) == (ErrorCode.SESSION_REPLACED, ErrorScope.STREAM, True)
    assert SessionReplaced(IDS[0]) in desk.events
    assert desk.receive(1, Heartbeat(1, reply=False)) == []
    desk.sessions.closed(1, desk.now)
    desk.take()
    assert desk.sessions.claims().keys() == {IDS[0]}
    assert [event for event in desk.events if isinstance(event, SessionEnded)] == [SessionEnded(IDS[0], too_slow=False)]
    desk.sessions.closed(2, desk.now)
    desk.take()
    assert desk.sessions.claims().keys() == frozenset()
    assert desk.events[-1] == SessionEnded(IDS[0], too_slow=False)


def test_sessions_are_bounded_and_still_replaced_when_full(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.connect(2, APPS[1])
    desk.connect(3, APPS[2])
    assert desk.end_of(3)[0] is ErrorCode.LIMIT_EXCEEDED
    desk.connect(4, APPS[0])
    assert 4 not in desk.ended
    assert desk.sessions.count_apps() == 2


def test_a_silent_stream_is_told_heartbeats_and_then_ended(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.pass_time(14.9)
    heartbeats = [message for message in desk.said[1] if isinstance(message, Heartbeat)]
    assert heartbeats == [Heartbeat(1, reply=False), Heartbeat(2, reply=False)]
    assert not desk.ended
    desk.pass_time(0.2)
    assert desk.end_of(1) == (ErrorCode.ROUTE_UNAVAILABLE, ErrorScope.STREAM, True)
    desk.pass_time(100.0)  # it is ended once, though the shell has not told that it is gone
    assert len([message for message in desk.said[1] if isinstance(message, Heartbeat)]) == 2


def test_whoever_is_heard_is_kept(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    for _ in range(10):
        desk.pass_time(4.0)
        assert desk.receive(1, Heartbeat(7, reply=True)) == []
    assert not desk.ended


def test_a_nodes_stream_that_was_dialled_for_chats_is_held_to_heartbeats_as_an_apps_is(desk: Desk) -> None:
    """Where each node hears each, the mesh says who fell silent, and no timer runs for their streams."""
    desk.link(1, "node-1", THERE_IDENTITY)
    assert desk.relay.next_timer() is None
    desk.relay.chats.dial_on_demand(desk.now)
    desk.link(2, "node-1", THERE_IDENTITY)
    desk.pass_time(14.9)
    assert desk.said[2] == [Heartbeat(1, reply=False), Heartbeat(2, reply=False)]
    desk.pass_time(0.2)
    assert desk.end_of(2) == (ErrorCode.ROUTE_UNAVAILABLE, ErrorScope.STREAM, True)


def test_heartbeats_and_look_ups_are_answered(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.find(APPS[1], 5)
    assert desk.receive(1, Heartbeat(9, reply=False)) == [Heartbeat(9, reply=True)]
    assert desk.receive(1, FindApp(IDS[0])) == [AppFound(IDS[0], online=True, node_id=NODE)]
    assert desk.receive(1, FindApp(IDS[1])) == [AppFound(IDS[1], online=True, node_id=NodeId("node-1"))]
    desk.connect(2, APPS[2])
    desk.sessions.closed(2, desk.now)
    assert desk.place(IDS[2]) == (NODE, False)


def test_an_app_whose_place_is_not_known_is_looked_up_in_the_mesh(desk: Desk) -> None:
    """Once, however many ask; what was found on a node is not asked again for some seconds, what was away is."""
    desk.connect(1, APPS[0])
    desk.connect(2, APPS[2])
    desk.looked_up.clear()
    assert desk.receive(1, FindApp(IDS[1])) == []
    assert desk.receive(2, FindApp(IDS[1])) == []
    assert desk.looked_up == [IDS[1]]
    desk.find(APPS[1], 5, online=False)
    desk.take()
    away = AppFound(IDS[1], online=False, node_id=NodeId("node-1"))
    assert (desk.said[1][-1], desk.said[2][-1]) == (away, away)
    assert desk.receive(1, FindApp(IDS[1])) == []
    desk.find(APPS[1], 6)
    desk.take()
    there = AppFound(IDS[1], online=True, node_id=NodeId("node-1"))
    assert desk.said[1][-1] == there
    desk.now += ANSWERED_S - 1
    assert desk.receive(1, FindApp(IDS[1])) == [there]
    desk.now += 1
    assert desk.receive(1, FindApp(IDS[1])) == []
    assert desk.looked_up == [IDS[1]] * 3


def test_an_app_that_nobody_knows_and_one_of_which_nobody_says_anything(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    for complete in (True, False):
        assert desk.receive(1, FindApp(IDS[1])) == []
        desk.sessions.take_found(Found(IDS[1], None, online=False, complete=complete), desk.now)
        desk.take()
    unknown, refused = desk.said[1][-2:]
    assert unknown == AppFound(IDS[1], online=False, node_id=None)
    assert isinstance(refused, ErrorNotice)
    assert (refused.code, refused.scope, refused.chat_id) == (ErrorCode.HANDSHAKE_THROTTLED, ErrorScope.FRAME, None)
    assert refused.retry_after_ms > 0, "the client asks again"


def test_a_mesh_that_says_nothing_is_not_waited_for(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    assert desk.receive(1, FindApp(IDS[1])) == []
    desk.pass_time(ANSWER_S - 0.5)
    assert not isinstance(desk.said[1][-1], ErrorNotice)
    desk.pass_time(1)
    assert isinstance(desk.said[1][-1], ErrorNotice)
    desk.find(APPS[1], 5)
    assert desk.receive(1, FindApp(IDS[1])) == [AppFound(IDS[1], online=True, node_id=NodeId("node-1"))]


def test_look_ups_of_strange_ids_are_bounded_for_an_app_and_in_all(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    strangers = [AppId(f"{number:032d}".translate(str.maketrans("0189", "abcd"))) for number in range(3 * STRANGERS_BURST)]
    answers = [desk.receive(1, FindApp(app_id)) for app_id in strangers]
    assert len(desk.looked_up) == STRANGERS_BURST
    refused = [said for said in answers if said]
    assert len(refused) == len(strangers) - STRANGERS_BURST
    assert {said[0].code for said in refused} == {ErrorCode.HANDSHAKE_THROTTLED}
    desk.pass_time(ANSWER_S + 1)
    assert desk.relay.chats.find_unanswered(desk.now) is None


def test_a_session_that_was_overtaken_when_it_began_is_shown_by_what_when_it_comes_again(desk: Desk) -> None:
    """A client takes the one for another process with its identity, and ends; the other for a stamp to raise."""
    for late, code in ((True, ErrorCode.STAMP_OUTDATED), (False, ErrorCode.SESSION_REPLACED)):
        stream = 1 + late
        desk.connect(stream, APPS[late])
        stamp = desk.sessions.claims()[IDS[late]].stamp
        entry = make_home_entry(THERE_IDENTITY, "node-1", APPS[late], stamp + 1)
        desk.sessions.take_overtaken(Overtaken(IDS[late], entry, late), desk.now)
        desk.take()
        assert desk.end_of(stream)[:2] == (code, ErrorScope.STREAM)
        desk.open(stream + 10)
        desk.receive(stream + 10, AppEnd(APPS[late], desk.challenge(stream + 10), stamp=stamp + 1).connect)
        newer = desk.said[stream + 10][-1]
        assert isinstance(newer, NewerHome)
        assert newer.claim.stamp == stamp + 1


def test_malformed_batches_are_answered_until_there_are_too_many(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    for _ in range(3):
        desk.sessions.malformed(1, MALFORMED, desk.now)
    desk.take()
    assert desk.said[1][-3:] == [ErrorNotice(ErrorCode.INVALID_FRAME, ErrorScope.FRAME, None, "not a batch", 0)] * 3
    assert not desk.ended
    desk.sessions.malformed(1, MALFORMED, desk.now)
    desk.take()
    assert desk.end_of(1) == (ErrorCode.INVALID_FRAME, ErrorScope.STREAM, False)
    assert [type(event) for event in desk.events].count(BatchRefused) == 4


def test_a_node_s_stream_ends_with_the_first_malformed_batch(desk: Desk) -> None:
    desk.link(1, "node-1", APPS[0])
    desk.sessions.malformed(1, MALFORMED, desk.now)
    desk.take()
    assert desk.end_of(1) == (ErrorCode.INVALID_FRAME, ErrorScope.STREAM, True)
    assert desk.events == [BatchRefused(None, NodeId("node-1"), ErrorCode.INVALID_FRAME, "not a batch")]


def test_a_newer_stream_of_a_node_outlives_the_end_of_the_older(desk: Desk) -> None:
    for stream in (1, 2):
        desk.link(stream, "node-1", APPS[0])
    assert desk.receive(1, Heartbeat(1, reply=False)) == []
    desk.sessions.closed(1, desk.now)
    assert desk.receive(2, Heartbeat(1, reply=False)) == [Heartbeat(1, reply=True)]
    desk.sessions.node_dead(NodeId("node-1"), desk.now)
    desk.take()
    assert desk.ended[2].discard
    assert desk.receive(2, Heartbeat(1, reply=False)) == []


def test_a_reader_that_stops_is_cut_off_once(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.sessions.stuck(1)
    assert len([action for action in desk.take().actions if isinstance(action, End)]) == 1
    desk.sessions.stuck(1)
    assert not desk.take().actions
    assert desk.end_of(1) == (ErrorCode.BACKPRESSURE, ErrorScope.STREAM, True)
    desk.sessions.closed(1, desk.now)
    desk.take()
    assert desk.events[-1] == SessionEnded(IDS[0], too_slow=True)


def test_that_an_app_was_too_slow_is_told_even_when_it_is_back_first(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.sessions.stuck(1)
    desk.connect(2, APPS[0])
    assert SessionEnded(IDS[0], too_slow=True) in desk.events
    assert [action for action in desk.take().actions if isinstance(action, End)] == []


def test_an_empty_batch_is_a_sign_of_life_and_no_proof(desk: Desk) -> None:
    desk.open(1)
    desk.sessions.heard_nothing(1, desk.now)
    desk.take()
    assert desk.end_of(1) == (ErrorCode.INVALID_FRAME, ErrorScope.STREAM, False)
    desk.connect(2, APPS[0])
    for _ in range(10):
        desk.pass_time(4.0)
        desk.sessions.heard_nothing(2, desk.now)
    assert 2 not in desk.ended


def test_whatever_is_sent_stands_for_a_heartbeat(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    for _ in range(8):
        desk.pass_time(2.0)
        desk.receive(1, Heartbeat(1, reply=False))
    assert not [message for message in desk.said[1] if isinstance(message, Heartbeat) and not message.reply]


def test_a_stream_that_was_ended_hears_no_more(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.sessions.stuck(1)
    desk.take()
    said = len(desk.said[1])
    desk.sessions.drain(NodeChange(10), desk.now)
    desk.sessions.end_all(ErrorCode.DRAINING, "this node stops")
    desk.pass_time(60.0)
    assert not desk.take().actions
    assert len(desk.said[1]) == said


def test_a_node_that_leaves_tells_its_apps_and_takes_no_more(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.sessions.drain(NodeChange(1500, 0, for_good=True), desk.now)
    desk.take()
    assert desk.said[1][-1] == NodeChange(1500, 0, for_good=True)
    assert desk.open(2) is None
    assert desk.end_of(2)[0] is ErrorCode.DRAINING
    desk.sessions.end_all(ErrorCode.DRAINING, "this node stops")
    desk.take()
    assert desk.end_of(1) == (ErrorCode.DRAINING, ErrorScope.STREAM, False)


def test_a_connect_of_another_key_changes_nothing(desk: Desk) -> None:
    challenge = desk.open(1)
    assert challenge is not None
    honest = AppEnd(APPS[0], challenge).connect
    desk.receive(1, dataclasses.replace(honest, app_key=APPS[1].public_key))
    assert desk.end_of(1)[0] is ErrorCode.AUTH_FAILED
    assert desk.sessions.claims().keys() == frozenset()


def _secured(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    desk.receive(1, FindApp(IDS[0]))


def _forged(_desk: Desk) -> Any:
    return Tagged(FindApp(IDS[1]), bytes(TAG_BYTES))


def _untagged(_desk: Desk) -> Any:
    return FindApp(IDS[1])


def _replayed(desk: Desk) -> Any:
    (item,) = desk.keys[1].writer.tag([FindApp(IDS[0])])
    assert desk.receive_raw(1, item)
    return item


def _overtaking(desk: Desk) -> Any:
    return desk.keys[1].writer.tag([FindApp(IDS[0]), FindApp(IDS[1])])[1]


def _after_a_lost_frame(desk: Desk) -> Any:
    return desk.keys[1].writer.tag([Sealed(bytes(64)), FindApp(IDS[1])])[1]


def _after_a_frame_too_many(desk: Desk) -> Any:
    desk.receive_raw(1, Sealed(bytes(64)))
    return desk.keys[1].writer.tag([FindApp(IDS[1])])[0]


def _altered(desk: Desk) -> Any:
    (item,) = desk.keys[1].writer.tag([FindApp(IDS[1])])
    return Tagged(FindApp(IDS[0]), item.tag)


def _of_another_session(desk: Desk) -> Any:
    desk.connect(2, APPS[1])
    desk.receive(2, FindApp(IDS[1]))
    return desk.keys[2].writer.tag([FindApp(IDS[1])])[0]


def _reflected(desk: Desk) -> Any:
    """What the node said itself comes back."""
    (said,) = desk.receive(1, FindApp(IDS[0]))
    return desk.writers[1].tag([said])[0]


@pytest.mark.parametrize(
    "make",
    [_forged, _untagged, _replayed, _overtaking, _after_a_lost_frame, _after_a_frame_too_many, _altered, _of_another_session,
     _reflected],
)  # fmt: skip
def test_what_is_not_the_next_of_its_session_ends_the_stream_and_nothing_else(desk: Desk, make: Callable[[Desk], Any]) -> None:
    _secured(desk)
    item = make(desk)
    assert desk.receive_raw(1, item) == []
    assert desk.end_of(1) == (ErrorCode.AUTH_FAILED, ErrorScope.STREAM, True)
    assert desk.events[-1] == BatchRefused(IDS[0], None, ErrorCode.AUTH_FAILED, desk.events[-1].detail)
    assert desk.receive(1, FindApp(IDS[0])) == []


def test_challenges_of_ten_seconds_share_an_ephemeral_that_goes_with_the_last_of_them(desk: Desk) -> None:
    first, second = desk.open(1), desk.open(2)
    assert first is not None
    assert second is not None
    assert first.ephemeral == second.ephemeral
    shared = desk.sessions._sessions[2].question
    assert shared is not None
    desk.sessions.closed(1, desk.now)
    assert not shared.ephemeral._private.wiped
    desk.now += 9.9
    third = desk.open(3)
    assert third is not None
    assert third.ephemeral == first.ephemeral
    desk.sessions.closed(3, desk.now)
    desk.now += 0.1
    fourth = desk.open(4)
    assert fourth is not None
    assert fourth.ephemeral != first.ephemeral
    desk.receive(2, AppEnd(APPS[0], second).connect)
    assert desk.sessions.claims().keys() == {IDS[0]}
    assert shared.ephemeral._private.wiped


def test_keys_are_wiped_with_their_stream(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    reader = desk.sessions._sessions[1].reader
    assert reader is not None
    desk.connect(2, APPS[0])  # replaced
    assert reader._key.wiped
    reader = desk.sessions._sessions[2].reader
    assert reader is not None
    desk.sessions.closed(2, desk.now)
    assert reader._key.wiped


# homes


def test_a_connect_that_was_overtaken_is_refused_with_the_entry_of_the_app_s_own(desk: Desk) -> None:
    desk.find(APPS[0], STAMP)
    desk.open(1)
    desk.receive(1, AppEnd(APPS[0], desk.challenge(1), stamp=STAMP).connect)
    newer = desk.said[1][-1]
    assert isinstance(newer, NewerHome)
    assert (newer.home, verify_claim(newer.home, newer.claim), newer.claim.stamp) == (THERE, IDS[0], STAMP)
    assert desk.end_of(1)[:2] == (ErrorCode.STAMP_OUTDATED, ErrorScope.STREAM)
    assert not desk.sessions.claims()
    desk.open(2)
    desk.receive(2, AppEnd(APPS[0], desk.challenge(2), stamp=STAMP + 1).connect)
    assert desk.sessions.claims().keys() == {IDS[0]}
    assert desk.sessions.claims()[IDS[0]].stamp == STAMP + 1


def test_a_connect_that_was_held_back_replaces_no_newer_session(desk: Desk) -> None:
    desk.open(1)
    late = AppEnd(APPS[0], desk.challenge(1), stamp=STAMP)
    desk.open(2)
    desk.receive(2, AppEnd(APPS[0], desk.challenge(2), stamp=STAMP + 1).connect)
    desk.receive(1, late.connect)
    assert desk.end_of(1)[0] is ErrorCode.STAMP_OUTDATED
    assert 2 not in desk.ended
    assert desk.sessions.claims()[IDS[0]].stamp == STAMP + 1


def test_a_stamp_far_ahead_is_refused_until_the_clock_is_in_doubt(desk: Desk) -> None:
    far = int((desk.now + 3601) * 1000)
    desk.open(1)
    desk.receive(1, AppEnd(APPS[0], desk.challenge(1), stamp=far).connect)
    assert desk.end_of(1)[:2] == (ErrorCode.CLOCK_SKEW, ErrorScope.STREAM)
    desk.relay.chats.doubt_keys(desk.now)
    desk.open(2)
    desk.receive(2, AppEnd(APPS[0], desk.challenge(2), stamp=far).connect)
    assert desk.sessions.claims().keys() == {IDS[0]}
    desk.relay.chats.trust_clock(desk.now)
    desk.open(3)
    desk.receive(3, AppEnd(APPS[1], desk.challenge(3), stamp=far).connect)
    assert desk.end_of(3)[0] is ErrorCode.CLOCK_SKEW


def test_a_session_whose_app_went_to_another_node_ends_and_is_not_told_on(desk: Desk) -> None:
    desk.connect(1, APPS[0])
    stamp = desk.sessions.claims()[IDS[0]].stamp
    desk.find(APPS[0], stamp)
    desk.take()
    assert 1 not in desk.ended, "an equal stamp there: of the two this is the lower node"
    desk.find(APPS[0], stamp + 1)
    desk.take()
    assert desk.end_of(1)[:2] == (ErrorCode.SESSION_REPLACED, ErrorScope.STREAM)
    assert not desk.sessions.claims()
    assert SessionEnded(IDS[0], too_slow=False) in desk.events
    assert desk.place(IDS[0]) == (NodeId("node-1"), True)
    desk.sessions.closed(1, desk.now)
    assert desk.place(IDS[0]) == (NodeId("node-1"), True)


def _describe(*, app_address: str = "there.example:8443", incarnation: int = 1) -> NodeDescriptor:
    return sign_descriptor(
        THERE_IDENTITY,
        node_id=NodeId("node-1"),
        address="there:7443",
        incarnation=incarnation,
        version="",
        app_address=app_address,
    )


def test_who_seeks_its_home_hears_what_that_signed_and_whether_it_is_linked(desk: Desk) -> None:
    other = node_party(NodeId("node-1"), APPS[0].public_key)
    desk.open(1)
    assert desk.receive(1, SeekHome(THERE)) == [HomeFound(None, linked=False)]
    desk.sessions.describe_node(_describe())
    desk.open(2)
    assert desk.receive(2, SeekHome(THERE)) == [HomeFound(_describe(), linked=False)]
    keys, _ = make_session_keys()
    desk.sessions.node_linked(9, NodeId("node-1"), THERE_IDENTITY.public_key, keys, desk.now)
    newer = _describe(app_address="elsewhere.example:8443", incarnation=2)
    desk.sessions.describe_node(newer)
    desk.sessions.closed(1, desk.now)
    desk.open(3)
    assert desk.receive(3, SeekHome(THERE)) == [HomeFound(newer, linked=True)]
    desk.sessions.closed(2, desk.now)
    desk.sessions.closed(9, desk.now)
    for stream, answers in ((5, True), (6, False)):  # where no stream to it is needed for that
        desk.sessions.note_standing(NodeId("node-1"), answers=answers)
        desk.open(stream)
        assert desk.receive(stream, SeekHome(THERE)) == [HomeFound(newer, linked=answers)]
        desk.sessions.closed(stream, desk.now)
    desk.open(4)
    assert desk.receive(4, SeekHome(other)) == [HomeFound(None, linked=False)], "the same name with another key"
    desk.receive(4, AppEnd(APPS[0], desk.challenge(4)).connect)
    assert desk.sessions.claims().keys() == {IDS[0]}, "the challenge can still be answered"


def test_a_home_is_sought_once_and_before_anything_is_proved(desk: Desk) -> None:
    desk.open(1)
    desk.receive(1, SeekHome(THERE))
    desk.receive(1, SeekHome(THERE))
    assert desk.end_of(1)[0] is ErrorCode.INVALID_FRAME
    desk.connect(2, APPS[0])
    assert desk.receive(2, SeekHome(THERE)) == []
    assert desk.end_of(2)[:2] == (ErrorCode.AUTH_FAILED, ErrorScope.STREAM)
    desk.open(3)
    desk.receive(3, SeekHome(THERE))
    desk.pass_time(PARAMS.connect_timeout_s)
    assert desk.end_of(3)[0] is ErrorCode.ROUTE_UNAVAILABLE, "asking gains no time"
    desk.sessions.forget_node(NodeId("node-1"))
