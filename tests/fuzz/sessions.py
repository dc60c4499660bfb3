"""Fuzz targets for what proves who is at the other end: handshakes of streams, tags of control messages, signed marks.

Nothing is accepted that the party with the keys did not say, and what refuses it is a ProtocolError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from hermes_core.crypto.x25519 import EphemeralKey, generate_ephemeral
from hermes_core.errors import ProtocolError
from hermes_core.ids import ChatId, NodeId, derive_app_id
from hermes_core.keystore.lineage import Lineage, MarkVerdict, judge_mark
from hermes_core.keystore.mark import encode_mark, read_mark, sign_mark, verify_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import Hello, Proof
from hermes_core.protocol.messages import PathState, Sealed
from hermes_core.protocol.session import Challenge, Connect, Connected, Heartbeat
from hermes_core.protocol.validate import MIN_SEALED_BYTES
from hermes_core.session.canonical import CONTROL
from hermes_core.session.connect import accept_connect, build_connect, complete_connect, verify_connect
from hermes_core.session.join import JoinRole, PeerHandshake, StreamKind
from hermes_core.session.suites import OFFERED
from hermes_proto.v2 import app_router_pb2, node_mesh_pb2
from hermes_wire.app import build_client_batch, build_server_batch, parse_client_batch, parse_server_batch
from hermes_wire.peer import build_peer_batch, parse_peer_batch
from tests.support.control_samples import CONTROL_SAMPLES
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_control_pair
from tests.unit.hermes_core.ratchet.pairs import ALICE, BOB


def parse(batch_type: type[Any], parse_batch: Callable[[Any], list[Any]], data: bytes) -> list[Any]:
    """The messages of a batch; none when it is malformed, which targets of their own look at."""
    batch = batch_type()
    try:
        batch.ParseFromString(data)
        return parse_batch(batch)
    except (DecodeError, ProtocolError):
        return []


def _ephemeral(name: str) -> EphemeralKey:
    """The same for the same name: a corpus of authentic inputs stays authentic."""
    return generate_ephemeral(SeededRandom(name))


# an app's stream: Alice is the node, Bob the app

MARK = sign_mark(ALICE, b"an opening of it", KeystoreMark(3, 70))
CHALLENGE = Challenge(NodeId("hermes-0"), ALICE.public_key, bytes(32), _ephemeral("node").public, OFFERED)
CONNECT = build_connect(BOB, CHALLENGE, bytes(32), _ephemeral("app"), 1, encode_mark(MARK))
_SETTINGS = Connected(derive_app_id(BOB.public_key), 5000, 70_000, 256, mark=encode_mark(MARK))
CONNECTED, _ = accept_connect(ALICE, CHALLENGE, _ephemeral("node"), CONNECT, _SETTINGS)


def fuzz_connect(data: bytes) -> None:
    """What an app answers to a challenge."""
    for message in parse(app_router_pb2.ClientBatch, parse_client_batch, data):
        if isinstance(message, Connect):
            try:
                verify_connect(CHALLENGE, message)
                accept_connect(ALICE, CHALLENGE, _ephemeral("node"), message, _SETTINGS)
            except ProtocolError:
                return
            assert message == CONNECT


def fuzz_connected(data: bytes) -> None:
    """What a node answers to that."""
    for message in parse(app_router_pb2.ServerBatch, parse_server_batch, data):
        if isinstance(message, Connected):
            try:
                complete_connect(CHALLENGE, _ephemeral("app"), CONNECT, message)
            except ProtocolError:
                return
            assert message == CONNECTED


# a stream between nodes: Alice dialled

_DIALLER, _ACCEPTOR = (
    Hello(
        sign_descriptor(identity, node_id=NodeId(name), address=f"{name}:7443", incarnation=3, version="2.0.0"),
        bytes(32),
        _ephemeral(name).public,
        OFFERED,
    )
    for identity, name in ((ALICE, "hermes-0"), (BOB, "hermes-1"))
)


def _accept(hello: Hello) -> PeerHandshake:
    return PeerHandshake(BOB, _ephemeral("hermes-1"), StreamKind.ROUTE_CHAT, JoinRole.ACCEPTOR, _ACCEPTOR, hello)


_PROVING = PeerHandshake(ALICE, _ephemeral("hermes-0"), StreamKind.ROUTE_CHAT, JoinRole.DIALLER, _DIALLER, _ACCEPTOR)
PEER_HANDSHAKE: tuple[Hello, Proof] = (_DIALLER, _PROVING.prove())


def fuzz_peer_handshake(data: bytes) -> None:
    """A Hello and a Proof."""
    said = parse(node_mesh_pb2.PeerBatch, parse_peer_batch, data)[:2]
    if [type(message) for message in said] != [Hello, Proof]:
        return
    try:
        handshake = _accept(said[0])
        handshake.prove()
        handshake.check(said[1])
        handshake.complete()
    except ProtocolError:
        return
    assert tuple(said) == PEER_HANDSHAKE


# control messages of a proven stream

_FRAME = Sealed(bytes(MIN_SEALED_BYTES))
_IN_SERVER_BATCHES = ("Offer", "Answer", "Confirm", "Reject", "Resume", "Closed", "ErrorNotice", "AppFound", "NodeChange")
_SAID = [
    PathState(ChatId(bytes(16)), up=True),
    _FRAME,
    *(CONTROL_SAMPLES[name] for name in _IN_SERVER_BATCHES),
    _FRAME,
    Heartbeat(1, reply=False),
    PathState(ChatId(bytes(16)), up=False),
]
SAID = make_control_pair(b"fuzz")[0].tag(_SAID)


def _controls(messages: list[Any]) -> list[tuple[int, Any]]:
    """Each control message with how many frames went before it."""
    frames = [isinstance(message, Sealed) for message in messages]
    return [(sum(frames[:at]), message) for at, message in enumerate(messages) if type(message) in CONTROL]


def fuzz_control(data: bytes) -> None:
    """What comes over a proven stream: what counts is a beginning of what was said."""
    _, reader = make_control_pair(b"fuzz")
    heard: list[Any] = []
    for message in parse(app_router_pb2.ServerBatch, parse_server_batch, data):
        try:
            heard.append(reader.open(message))
        except ProtocolError:
            break
    controls = _controls(heard)
    assert controls == _controls(_SAID)[: len(controls)]


# a mark that somebody hands back

_LINEAGE = Lineage().begin(b"an opening of it", 10, told=True).begin(b"the present one.", 60, told=True)


def fuzz_mark(data: bytes) -> None:
    """Whatever it says, unsigned it is nobody's; signed, it is judged."""
    try:
        mark = read_mark(data)
    except ProtocolError:
        return
    assert encode_mark(mark) == data
    verdict, _ = judge_mark(_LINEAGE, 65, {ALICE.public_key}, mark)
    try:
        verify_mark(mark)
    except ProtocolError:
        return
    assert mark == MARK
    assert verdict is MarkVerdict.ROLLED_BACK


TARGETS: dict[str, Callable[[bytes], None]] = {
    "connect": fuzz_connect,
    "connected": fuzz_connected,
    "peer-handshake": fuzz_peer_handshake,
    "control": fuzz_control,
    "mark": fuzz_mark,
}


def make_seeds() -> dict[str, list[bytes]]:
    batches = [build_server_batch(SAID), build_server_batch(SAID[1:]), build_server_batch(SAID[:1] + SAID[2:])]
    return {
        "connect": [build_client_batch([CONNECT]).SerializeToString()],
        "connected": [build_server_batch([CONNECTED]).SerializeToString()],
        "peer-handshake": [build_peer_batch(PEER_HANDSHAKE).SerializeToString()],
        "control": [batch.SerializeToString() for batch in batches],
        "mark": [encode_mark(MARK)],
    }
