"""The handshake of an app's stream: it fits one challenge of one node and one app, and both ends get the same secret."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.x25519 import generate_ephemeral
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId, derive_app_id
from hermes_core.keystore.mark import encode_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_core.protocol.session import Challenge, Connect, Connected
from hermes_core.session.connect import build_connect
from hermes_core.session.control import Tagged
from tests.support.control_samples import CONTROL_SAMPLES
from tests.support.sessions import AppEnd, NodeEnd

APP, NODE, OTHER = Identity.generate(), Identity.generate(), Identity.generate()
HOME = NodeId("node-0")
ORDER_8 = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
"""An X25519 point of small order (RFC 7748 asks to refuse what it gives)."""


def make_mark(identity: Identity, commit_counter: int) -> bytes:
    return encode_mark(sign_mark(identity, b"i" * 16, KeystoreMark(1, commit_counter)))


def refusal(act: Callable[[], object]) -> ErrorCode:
    with pytest.raises(ProtocolError) as caught:
        act()
    return caught.value.code


def test_both_ends_get_the_same_keys_and_each_other() -> None:
    node = NodeEnd(HOME, NODE)
    app = AppEnd(APP, node.challenge)
    connected, ours = node.accept(app.connect)
    theirs = app.complete(connected)
    assert connected.app_id == derive_app_id(APP.public_key)
    assert ours.stream.binding == theirs.stream.binding
    assert ours.stream.send_nonce == theirs.stream.receive_nonce != ours.stream.receive_nonce == theirs.stream.send_nonce
    for writer, reader in ((ours.writer, theirs.reader), (theirs.writer, ours.reader)):
        assert [reader.open(item) for item in writer.tag(CONTROL_SAMPLES.values())] == list(CONTROL_SAMPLES.values())


def test_every_stream_has_its_own_secret() -> None:
    bindings, node = set(), NodeEnd(HOME, NODE)
    for _ in range(3):  # the node's half may be shared
        app = AppEnd(APP, node.challenge)
        bindings.add(app.complete(node.accept(app.connect)[0]).stream.binding)
    assert len(bindings) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": bytes(32)},
        {"node_id": NodeId("node-1")},
        {"node_key": OTHER.public_key},
        {"ephemeral": generate_ephemeral(SYSTEM_RANDOM).public},
        {"suites": b"\x01\x02"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_answer_fits_one_challenge(change: dict[str, Any]) -> None:
    node = NodeEnd(HOME, NODE)
    app = AppEnd(APP, dataclasses.replace(node.challenge, **change))
    assert refusal(lambda: node.accept(app.connect)) is ErrorCode.AUTH_FAILED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"nonce": bytes(32)}, ErrorCode.AUTH_FAILED),
        ({"app_key": OTHER.public_key}, ErrorCode.AUTH_FAILED),
        ({"app_key": (1).to_bytes(32, "little")}, ErrorCode.INVALID_KEY),
        ({"ephemeral": generate_ephemeral(SYSTEM_RANDOM).public}, ErrorCode.AUTH_FAILED),
        ({"stamp": 0}, ErrorCode.AUTH_FAILED),
        ({"suite": 2}, ErrorCode.KEY_VERSION_MISMATCH),
        ({"mark": b""}, ErrorCode.AUTH_FAILED),
        ({"mark": make_mark(NODE, 2)}, ErrorCode.AUTH_FAILED),
        ({"signature": bytes(64)}, ErrorCode.AUTH_FAILED),
    ],
)
def test_a_node_believes_no_other_answer(change: dict[str, Any], code: ErrorCode) -> None:
    node = NodeEnd(HOME, NODE)
    connect = dataclasses.replace(AppEnd(APP, node.challenge, mark=make_mark(NODE, 1)).connect, **change)
    assert refusal(lambda: node.accept(connect)) is code


@pytest.mark.parametrize(
    "change",
    [
        {"heartbeat_interval_ms": 1},
        {"max_frame_bytes": 2**31},
        {"window_frames": 1},
        {"app_id": derive_app_id(OTHER.public_key)},
        {"signature": bytes(64)},
        {"mark": b""},
        {"mark": make_mark(NODE, 2)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_app_believes_no_other_connected(change: dict[str, Any]) -> None:
    node = NodeEnd(HOME, NODE)
    app = AppEnd(APP, node.challenge)
    settings = Connected(derive_app_id(APP.public_key), 5000, 70_000, 256, mark=make_mark(NODE, 1))
    connected = dataclasses.replace(node.accept(app.connect, settings)[0], **change)
    assert refusal(lambda: app.complete(connected)) is ErrorCode.AUTH_FAILED
    assert app._ephemeral._private.wiped


UNSIGNED = (MARK := make_mark(NODE, 1))[:-1] + bytes((MARK[-1] ^ 1,))


@pytest.mark.parametrize("mark", [make_mark(OTHER, 1), UNSIGNED], ids=["another's", "unsigned"])
def test_an_app_takes_no_mark_that_is_not_the_nodes_own(mark: bytes) -> None:
    node = NodeEnd(HOME, NODE)
    app = AppEnd(APP, node.challenge)
    connected, _ = node.accept(app.connect, Connected(derive_app_id(APP.public_key), 5000, 70_000, 256, mark=mark))
    assert refusal(lambda: app.complete(connected)) is ErrorCode.AUTH_FAILED


def test_a_middle_with_a_node_key_of_its_own_is_not_the_node_it_stands_before() -> None:
    """It shows the node's challenge under its own ephemeral, or answers in the node's name."""
    node = NodeEnd(HOME, NODE)
    middle = NodeEnd(HOME, OTHER)
    shown = dataclasses.replace(node.challenge, ephemeral=middle.challenge.ephemeral)
    app = AppEnd(APP, shown)
    assert refusal(lambda: node.accept(app.connect)) is ErrorCode.AUTH_FAILED
    middle.challenge = shown
    connected, _ = middle.accept(app.connect)
    assert refusal(lambda: app.complete(connected)) is ErrorCode.AUTH_FAILED


def test_points_of_small_order_are_refused_at_both_ends() -> None:
    node = NodeEnd(HOME, NODE)
    weak = generate_ephemeral(SYSTEM_RANDOM)
    weak.public = ORDER_8
    connect = build_connect(APP, node.challenge, bytes(32), weak, 1)
    assert refusal(lambda: node.accept(connect)) is ErrorCode.INVALID_KEY

    node.challenge = dataclasses.replace(node.challenge, ephemeral=ORDER_8)
    app = AppEnd(APP, node.challenge)
    connected, _ = node.accept(app.connect)  # it signs what it is shown, its own weak half among it
    assert refusal(lambda: app.complete(connected)) is ErrorCode.INVALID_KEY


def test_the_first_listed_suite_that_we_know_is_picked() -> None:
    node = NodeEnd(HOME, NODE)
    known = dataclasses.replace(node.challenge, suites=b"\xff\x01")
    assert AppEnd(APP, known).connect.suite == 1
    unknown = dataclasses.replace(node.challenge, suites=b"\xff\x02")
    assert refusal(lambda: AppEnd(APP, unknown)) is ErrorCode.KEY_VERSION_MISMATCH


def test_the_node_checks_the_signature_before_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    node = NodeEnd(HOME, NODE)
    connect: Connect = dataclasses.replace(AppEnd(APP, node.challenge).connect, signature=bytes(64))
    computed: list[object] = []
    monkeypatch.setattr("hermes_core.session.connect.derive_session_keys", lambda *args, **_: computed.append(args))
    monkeypatch.setattr("hermes_core.crypto.x25519.EphemeralKey.exchange", lambda *args: computed.append(args))
    assert refusal(lambda: node.accept(connect)) is ErrorCode.AUTH_FAILED
    assert not computed


def test_what_one_session_says_is_nothing_in_another() -> None:
    def connect(challenge_of: NodeEnd) -> tuple[Any, Any]:
        app = AppEnd(APP, challenge_of.challenge)
        connected, ours = challenge_of.accept(app.connect)
        return ours, app.complete(connected)

    first, second = connect(NodeEnd(HOME, NODE)), connect(NodeEnd(HOME, NODE))
    (item,) = first[0].writer.tag([CONTROL_SAMPLES["Delete"]])
    assert isinstance(item, Tagged)
    assert refusal(lambda: second[1].reader.open(item)) is ErrorCode.AUTH_FAILED


def test_types_are_what_the_tests_think() -> None:
    assert {field.name for field in dataclasses.fields(Challenge)} == {
        "node_id",
        "node_key",
        "challenge",
        "ephemeral",
        "suites",
        "renewals",  # which prove themselves
    }
    assert {field.name for field in dataclasses.fields(Connected)} >= {"signature"}
