"""What a message is counted with is never less than what it takes."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from hermes_client.stream import take_batch
from hermes_core.crypto.mlkem import CIPHERTEXT_BYTES, ENCAPSULATION_KEY_BYTES
from hermes_core.crypto.suites import MAX_SUITES
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import MAX_EPOCH, MAX_ORDER, MAX_POSITION, AppId, ChatId
from hermes_core.protocol import messages as m
from hermes_core.protocol.validate import MAX_SEALED_BYTES, MAX_U32, validate_message
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.session.control import TAG_BYTES, Tagged
from hermes_wire.app import MAX_BATCH_BYTES, ClientMessage, build_client_batch
from hermes_wire.peer import build_peer_batch
from hermes_wire.sizes import estimate_bytes

CHAT = ChatId(bytes(range(16)))
APP = AppId("a" * 32)
OFFERED = KeyStatement(MAX_EPOCH, MAX_ORDER, bytes(MAX_SUITES), bytes(32), bytes(ENCAPSULATION_KEY_BYTES), b"s" * 64)
ANSWERED = KeyStatement(MAX_EPOCH, MAX_ORDER, b"\xff", bytes(32), bytes(CIPHERTEXT_BYTES), b"s" * 64)
CLAIM = EpochClaim(MAX_EPOCH, 255, bytes(64), MAX_POSITION, MAX_POSITION, MAX_POSITION, MAX_ORDER, bytes(64))
LARGEST: list[Any] = [
    m.Sealed(bytes(MAX_SEALED_BYTES)),
    m.Offer(CHAT, bytes(32), APP, OFFERED, OFFERED),
    m.Answer(CHAT, bytes(32), ANSWERED, bytes(64), ANSWERED, bytes(64)),
    m.Confirm(CHAT, MAX_EPOCH, bytes(64), MAX_EPOCH, bytes(64)),
    m.Resume(CHAT, (CLAIM, CLAIM)),
    m.ErrorNotice(ErrorCode.INTERNAL, ErrorScope.CHAT, CHAT, "x" * 256, MAX_U32),
]


@pytest.mark.parametrize("message", LARGEST, ids=lambda message: type(message).__name__)
def test_no_message_is_larger_than_it_counts(message: Any) -> None:
    validate_message(message)
    item = message if isinstance(message, m.Sealed) else Tagged(message, b"t" * TAG_BYTES)
    assert build_peer_batch([item]).ByteSize() <= estimate_bytes(message)


def test_a_batch_of_the_largest_is_within_the_bound() -> None:
    outbound: deque[ClientMessage] = deque(
        message for _ in range(256) for message in (m.Offer(CHAT, bytes(32), APP, OFFERED, OFFERED), m.Sealed(bytes(24_000)))
    )
    batch = take_batch(outbound)
    assert build_client_batch(batch).ByteSize() <= MAX_BATCH_BYTES
    assert outbound
