"""The Connect proof: it fits one challenge of one node, and one app."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets

import pytest

from hermes_core.crypto.session_binding import derive_session_binding
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId, derive_app_id
from hermes_core.protocol.connect import build_connect, verify_connect
from hermes_core.protocol.session import Challenge

APP = Identity.generate()
NODE = Identity.generate()
CHALLENGE = Challenge(NodeId("node-0"), NODE.public_key, secrets.token_bytes(32))
NONCE = secrets.token_bytes(32)


def test_answer_proves_the_app() -> None:
    assert verify_connect(CHALLENGE, build_connect(APP, CHALLENGE, NONCE)) == derive_app_id(APP.public_key)


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(CHALLENGE, challenge=secrets.token_bytes(32)),
        dataclasses.replace(CHALLENGE, node_id=NodeId("node-1")),
        dataclasses.replace(CHALLENGE, node_key=Identity.generate().public_key),
    ],
    ids=["replayed", "other node id", "other node key"],
)
def test_answer_fits_one_challenge(other: Challenge) -> None:
    with pytest.raises(ProtocolError) as caught:
        verify_connect(other, build_connect(APP, CHALLENGE, NONCE))
    assert caught.value.code is ErrorCode.AUTH_FAILED


def test_answer_fits_one_nonce_and_key() -> None:
    connect = build_connect(APP, CHALLENGE, NONCE)
    for forged in (
        dataclasses.replace(connect, nonce=bytes(32)),
        dataclasses.replace(connect, app_key=Identity.generate().public_key),
        dataclasses.replace(connect, signature=bytes(64)),
    ):
        with pytest.raises(ProtocolError) as caught:
            verify_connect(CHALLENGE, forged)
        assert caught.value.code is ErrorCode.AUTH_FAILED


def test_identity_point_is_refused() -> None:
    weak = (1).to_bytes(32, "little")
    with pytest.raises(ProtocolError) as caught:
        verify_connect(CHALLENGE, dataclasses.replace(build_connect(APP, CHALLENGE, NONCE), app_key=weak))
    assert caught.value.code is ErrorCode.INVALID_KEY


def test_binding_is_as_documented() -> None:
    label = b"hermes/v2 session"
    expected = hashlib.sha256(len(label).to_bytes(4, "big") + label + CHALLENGE.challenge + NONCE).digest()
    assert derive_session_binding(CHALLENGE.challenge, NONCE) == expected
