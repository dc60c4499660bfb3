"""Bounds of every message from outside: at the bound, and one past it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.handshake.move import SignedMove
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import AppId, ChatId, NodeId, Party
from hermes_core.protocol import messages as m
from hermes_core.protocol import session as s
from hermes_core.protocol import validate as v
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.end_proof import EndProof

APP = AppId("a" * 32)
CHAT = ChatId(bytes(16))
STATEMENT = KeyStatement(1, 1, b"\x01", bytes(32), b"", bytes(64))
MOVE = SignedMove(bytes(32), APP, Party("node:n-1:" + "a" * 32), 1, bytes(32), bytes(64))
CLAIM = EpochClaim(1, 1, bytes(32), 0, 0, 0, 0, bytes(32))

GOOD: list[Any] = [
    m.Sealed(bytes(v.MIN_SEALED_BYTES)),
    m.Sealed(bytes(v.MAX_SEALED_BYTES)),
    m.Offer(CHAT, bytes(32), APP, STATEMENT, STATEMENT),
    m.Answer(CHAT, bytes(32), STATEMENT, bytes(32), STATEMENT, bytes(64)),
    m.Offer(CHAT, bytes(32), APP, dataclasses.replace(STATEMENT, suites=bytes(8), kem=bytes(1184)), STATEMENT),
    m.Answer(CHAT, bytes(32), dataclasses.replace(STATEMENT, kem=bytes(1088)), bytes(32), STATEMENT, bytes(64)),
    m.Confirm(CHAT, 1, bytes(32), 2**32 - 1, bytes(64)),
    m.Confirm(CHAT, 0, b"", 1, bytes(32)),
    m.Confirm(CHAT, 1, bytes(32), 0, b""),
    m.Reject(CHAT, ErrorCode.LIMIT_EXCEEDED, 0xFFFFFFFF),
    m.Resume(CHAT, ()),
    m.Resume(CHAT, (CLAIM,)),
    m.Resume(CHAT, (CLAIM, dataclasses.replace(CLAIM, transcript_hash=bytes(64), send_next=2**63 - 1))),
    m.PathState(CHAT, True),
    m.Closed(CHAT, m.CloseReason.DELETED),
    m.Closed(CHAT, m.CloseReason.DELETED_BY_PEER, (EndProof(1, bytes(16)), EndProof(2**32 - 1, bytes(16)))),
    m.ClosedAck(CHAT, m.CloseReason.DELETED),
    m.Delete(CHAT),
    m.Delete(CHAT, proofs=(EndProof(1, bytes(16)),)),
    m.ErrorNotice(ErrorCode.INTERNAL, ErrorScope.FRAME, None, "x" * 256, 2**32 - 1),
    m.ErrorNotice(ErrorCode.INTERNAL, ErrorScope.FRAME, CHAT, "", 0),
    m.MoveOffer(CHAT, MOVE, STATEMENT),
    m.MoveOffer(CHAT, dataclasses.replace(MOVE, number=2**62), dataclasses.replace(STATEMENT, suites=bytes(8))),
    m.MoveAnswer(CHAT, 2**62, STATEMENT, bytes(64)),
    m.Moved(CHAT, MOVE),
    m.MoveWanted(CHAT),
]
BAD_KEMS = (1, 1087, 1089, 1183, 1185)
BAD: list[Any] = [
    *(m.Reject(CHAT, ErrorCode.LIMIT_EXCEEDED, wait) for wait in (-1, 2**32)),
    *(m.Offer(CHAT, bytes(32), APP, STATEMENT, dataclasses.replace(STATEMENT, suites=bytes(count))) for count in (0, 9)),
    *(m.Offer(CHAT, bytes(32), APP, dataclasses.replace(STATEMENT, suites=bytes(count)), STATEMENT) for count in (0, 9)),
    *(m.Offer(CHAT, bytes(32), APP, dataclasses.replace(STATEMENT, kem=bytes(n)), STATEMENT) for n in (*BAD_KEMS, 1088)),
    *(m.Offer(CHAT, bytes(32), APP, STATEMENT, dataclasses.replace(STATEMENT, kem=bytes(n))) for n in (*BAD_KEMS, 1088)),
    *(
        m.Answer(CHAT, bytes(32), changed, bytes(32), other, bytes(32))
        for fields in (*({"kem": bytes(n)} for n in (*BAD_KEMS, 1184)), {"suites": b""}, {"suites": bytes(2)})
        for one in (dataclasses.replace(STATEMENT, **fields),)  # type: ignore[arg-type]
        for changed, other in ((one, STATEMENT), (STATEMENT, one))
    ),
    *(m.Resume(CHAT, (dataclasses.replace(CLAIM, suite=suite),)) for suite in (0, 256)),
    m.Sealed(bytes(v.MIN_SEALED_BYTES - 1)),
    m.Sealed(bytes(v.MAX_SEALED_BYTES + 1)),
    m.Offer(ChatId(bytes(15)), bytes(32), APP, STATEMENT, STATEMENT),
    m.Offer(ChatId(bytes(17)), bytes(32), APP, STATEMENT, STATEMENT),
    m.Offer(CHAT, bytes(31), APP, STATEMENT, STATEMENT),
    m.Offer(CHAT, bytes(33), APP, STATEMENT, STATEMENT),
    m.Offer(CHAT, bytes(32), AppId("a" * 31), STATEMENT, STATEMENT),
    m.Offer(CHAT, bytes(32), AppId("A" * 32), STATEMENT, STATEMENT),
    *(
        m.Offer(CHAT, bytes(32), APP, *pair)
        for bad in (
            dataclasses.replace(STATEMENT, epoch=0),
            dataclasses.replace(STATEMENT, epoch=2**32),
            dataclasses.replace(STATEMENT, ephemeral=bytes(31)),
            dataclasses.replace(STATEMENT, ephemeral=bytes(33)),
            dataclasses.replace(STATEMENT, signature=bytes(63)),
            dataclasses.replace(STATEMENT, signature=bytes(65)),
        )
        for pair in ((bad, STATEMENT), (STATEMENT, bad))
    ),
    m.Answer(CHAT, bytes(31), STATEMENT, bytes(32), STATEMENT, bytes(32)),
    m.Answer(CHAT, bytes(32), STATEMENT, bytes(31), STATEMENT, bytes(32)),
    m.Answer(CHAT, bytes(32), STATEMENT, bytes(32), STATEMENT, bytes(65)),
    m.Confirm(CHAT, 0, b"", 0, b""),
    m.Confirm(CHAT, 0, bytes(32), 1, bytes(32)),
    m.Confirm(CHAT, 1, b"", 1, bytes(32)),
    m.Confirm(CHAT, 1, bytes(33), 1, bytes(32)),
    m.Confirm(CHAT, 1, bytes(32), 2**32, bytes(32)),
    m.Resume(CHAT, (CLAIM,) * 3),
    *(
        m.Resume(CHAT, (dataclasses.replace(CLAIM, **change),))
        for change in (
            {"epoch": 0},
            {"transcript_hash": bytes(33)},
            {"send_next": 2**63},
            {"recv_next": -1},
            {"recv_proven": 2**63},
            {"tag": bytes(31)},
        )
    ),
    m.Delete(ChatId(b"")),
    *(
        message
        for proofs in (
            (EndProof(1, bytes(16)),) * 3,
            (EndProof(0, bytes(16)),),
            (EndProof(2**32, bytes(16)),),
            (EndProof(1, bytes(15)),),
            (EndProof(1, bytes(16)), EndProof(1, bytes(17))),
        )
        for message in (m.Delete(CHAT, proofs=proofs), m.Closed(CHAT, m.CloseReason.DELETED_BY_PEER, proofs))
    ),
    m.ErrorNotice(ErrorCode.INTERNAL, ErrorScope.FRAME, ChatId(b"1"), "", 0),
    m.ErrorNotice(ErrorCode.INTERNAL, ErrorScope.FRAME, None, "x" * 257, 0),
    m.ErrorNotice(ErrorCode.INTERNAL, ErrorScope.FRAME, None, "", 2**32),
    *(
        message
        for change in (
            {"mover_key": bytes(31)},
            {"peer": "a" * 31},
            {"home": "node:n"},
            {"home": "app:" + "a" * 32},
            {"home": "node:-n:" + "a" * 32},
            {"home": f"node:{'n' * 64}:" + "a" * 32},
            {"home": "node:n:" + "a" * 33},
            {"home": "node:n:" + "a" * 32 + "\n"},
            {"number": 0},
            {"number": 2**62 + 1},
            {"leg_hash": bytes(31)},
            {"signature": bytes(65)},
        )
        for move in (dataclasses.replace(MOVE, **change),)
        for message in (m.MoveOffer(CHAT, move, STATEMENT), m.Moved(CHAT, move))
    ),
    m.MoveOffer(CHAT, MOVE, dataclasses.replace(STATEMENT, epoch=2)),
    m.MoveOffer(CHAT, MOVE, dataclasses.replace(STATEMENT, signature=b"")),
    m.MoveAnswer(CHAT, 1, dataclasses.replace(STATEMENT, epoch=2), bytes(32)),
    m.MoveAnswer(CHAT, 1, dataclasses.replace(STATEMENT, suites=bytes(2)), bytes(32)),
    m.MoveAnswer(CHAT, 0, STATEMENT, bytes(32)),
    m.MoveAnswer(CHAT, 2**62 + 1, STATEMENT, bytes(32)),
    m.MoveAnswer(CHAT, 1, STATEMENT, bytes(31)),
    m.MoveWanted(ChatId(b"")),
]
HOME = Party(f"node:n:{APP}")
APP_CLAIM = s.AppClaim(bytes(32), 1, bytes(32), bytes(64))
GOOD_SESSION: list[Any] = [
    s.Challenge(NodeId("n" * 63), bytes(32), bytes(32), bytes(32), bytes(1)),
    s.Challenge(NodeId("n"), bytes(32), bytes(32), bytes(32), bytes(s.MAX_SUITES)),
    s.Connect(bytes(32), bytes(32), bytes(32), 1, 0, bytes(64)),
    s.Connect(bytes(32), bytes(32), bytes(32), v.MAX_U8, v.MAX_U64, bytes(64)),
    s.Connected(APP, 1, v.MIN_SEALED_BYTES, 1, bytes(64)),
    s.FindApp(APP),
    s.AppFound(APP, False, None),
    s.AppFound(APP, True, NodeId("n-1")),
    s.NodeChange(0),
    s.Heartbeat(2**64 - 1, True),
    s.SeekHome(HOME),
    s.NewerHome(HOME, APP_CLAIM),
    s.Challenge(NodeId("n"), bytes(32), bytes(32), bytes(32), bytes(1), bytes(4 * 192)),
]
BAD_SESSION: list[Any] = [
    s.Challenge(NodeId("n" * 64), bytes(32), bytes(32), bytes(32), bytes(1)),
    s.Challenge(NodeId("-n"), bytes(32), bytes(32), bytes(32), bytes(1)),
    s.Challenge(NodeId("n"), bytes(31), bytes(32), bytes(32), bytes(1)),
    s.Challenge(NodeId("n"), bytes(32), bytes(33), bytes(32), bytes(1)),
    s.Challenge(NodeId("n"), bytes(32), bytes(32), bytes(31), bytes(1)),
    s.Challenge(NodeId("n"), bytes(32), bytes(32), bytes(32), b""),
    s.Challenge(NodeId("n"), bytes(32), bytes(32), bytes(32), bytes(s.MAX_SUITES + 1)),
    s.Connect(bytes(33), bytes(32), bytes(32), 1, 0, bytes(64)),
    s.Connect(bytes(32), bytes(31), bytes(32), 1, 0, bytes(64)),
    s.Connect(bytes(32), bytes(32), bytes(33), 1, 0, bytes(64)),
    s.Connect(bytes(32), bytes(32), bytes(32), 0, 0, bytes(64)),
    s.Connect(bytes(32), bytes(32), bytes(32), v.MAX_U8 + 1, 0, bytes(64)),
    s.Connect(bytes(32), bytes(32), bytes(32), 1, v.MAX_U64 + 1, bytes(64)),
    s.Connect(bytes(32), bytes(32), bytes(32), 1, 0, bytes(63)),
    s.Connected(APP, 0, v.MIN_SEALED_BYTES, 1, bytes(64)),
    s.Connected(APP, 1, v.MIN_SEALED_BYTES - 1, 1, bytes(64)),
    s.Connected(APP, 1, v.MIN_SEALED_BYTES, 0, bytes(64)),
    s.Connected(APP, 1, v.MIN_SEALED_BYTES, 1, bytes(63)),
    s.FindApp(AppId("1" * 32)),
    s.AppFound(APP, True, NodeId("")),
    s.NodeChange(2**32),
    s.Heartbeat(2**64, False),
    s.SeekHome(Party("node:n")),
    s.NewerHome(Party("app:" + APP), APP_CLAIM),
    s.NewerHome(HOME, dataclasses.replace(APP_CLAIM, app_key=bytes(31))),
    s.NewerHome(HOME, dataclasses.replace(APP_CLAIM, hello_hash=bytes(33))),
    s.NewerHome(HOME, dataclasses.replace(APP_CLAIM, signature=bytes(63))),
    s.Challenge(NodeId("n"), bytes(32), bytes(32), bytes(32), bytes(1), bytes(191)),
    s.Challenge(NodeId("n"), bytes(32), bytes(32), bytes(32), bytes(1), bytes(5 * 192)),
]


@pytest.mark.parametrize("message", GOOD, ids=lambda message: type(message).__name__)
def test_message_within_bounds(message: m.ChatMessage) -> None:
    v.validate_message(message)


@pytest.mark.parametrize("message", BAD, ids=lambda message: type(message).__name__)
def test_message_past_a_bound(message: m.ChatMessage) -> None:
    with pytest.raises(ProtocolError) as caught:
        v.validate_message(message)
    assert caught.value.code is ErrorCode.INVALID_FRAME


@pytest.mark.parametrize("message", GOOD_SESSION, ids=lambda message: type(message).__name__)
def test_session_message_within_bounds(message: s.SessionMessage) -> None:
    v.validate_session_message(message)


@pytest.mark.parametrize("message", BAD_SESSION, ids=lambda message: type(message).__name__)
def test_session_message_past_a_bound(message: s.SessionMessage) -> None:
    with pytest.raises(ProtocolError) as caught:
        v.validate_session_message(message)
    assert caught.value.code is ErrorCode.INVALID_FRAME


def test_every_kind_of_message_is_tried() -> None:
    assert {type(message) for message in GOOD} == set(m.ChatMessage.__args__)
    assert {type(message) for message in GOOD_SESSION} == set(s.SessionMessage.__args__)


@pytest.mark.parametrize("parse", [v.parse_error_code, v.parse_error_scope, v.parse_close_reason])
def test_unknown_numbers_are_refused(parse: Any) -> None:
    assert parse(1) == 1
    for number in (0, -1, 99):
        with pytest.raises(ProtocolError) as caught:
            parse(number)
        assert caught.value.code is ErrorCode.INVALID_FRAME
