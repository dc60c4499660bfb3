"""What a receiver refuses in a handshake, in which order, and that nothing has changed afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.suites import Suite
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.handshake.transcript import HandshakeContext, encode_answer, encode_offer
from hermes_core.ids import ChannelKind, ChatId, Party, app_party, derive_app_id
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.replay import derive_ephemeral_id
from hermes_core.ratchet.state import Orders
from tests.unit.hermes_core.ratchet.pairs import (
    ALICE,
    BINDING,
    BOB,
    CHAT,
    Pair,
    describe_state,
    make_identity,
    make_pair,
    make_ready_pair,
)

IDENTITY_POINT = bytes([1]) + bytes(31)
LOW_ORDER_EPHEMERAL = bytes(32)
OTHER = make_identity(3)
PLAIN = bytes([Suite.X25519_SHA256])


def refuse(channel: Channel, code: ErrorCode, call: Callable[[], object]) -> None:
    before = describe_state(channel)
    with pytest.raises(ProtocolError) as raised:
        call()
    assert raised.value.code is code
    assert describe_state(channel) == before


def context(channel: Channel, *, initiator: Party, responder: Party) -> HandshakeContext:
    snapshot = channel.snapshot()
    previous = b"" if snapshot.current is None else snapshot.current.transcript_hash
    return HandshakeContext(channel.kind, CHAT, channel.epoch + 1, initiator, responder, previous)


def sign_offer(channel: Channel, ephemeral: bytes, order: int = 9) -> KeyStatement:
    """An offer to `channel` that its peer's identity really signed."""
    offer = encode_offer(context(channel, initiator=channel.peer, responder=channel.local), order, PLAIN, ephemeral, b"")
    return KeyStatement(channel.epoch + 1, order, PLAIN, ephemeral, b"", ALICE.sign(offer))


@pytest.mark.parametrize("make", [make_pair, make_ready_pair], ids=["first", "rekey"])
def test_the_checks_of_an_offer_come_in_the_order_of_the_page(make: Callable[[], Pair]) -> None:
    """One statement with every fault; mending the fault in front shows the next."""
    pair = make()
    honest = pair.b.snapshot()
    seen = (*honest.seen_ephemerals, derive_ephemeral_id(LOW_ORDER_EPHEMERAL))
    channel = pair.restart_b(replace(honest, seen_ephemerals=seen, orders=Orders(0, 9), peer_public_key=IDENTITY_POINT))
    faulty = KeyStatement(channel.epoch + 2, 9, PLAIN, LOW_ORDER_EPHEMERAL, b"", bytes(63))

    def answer(statement: KeyStatement) -> Callable[[], object]:
        return lambda: channel.answer_offer(statement, 0.0)

    refuse(channel, ErrorCode.INVALID_FRAME, answer(replace(faulty, ephemeral=bytes(31), signature=bytes(64))))
    refuse(channel, ErrorCode.INVALID_FRAME, answer(faulty))
    statement = replace(faulty, signature=bytes(64))
    refuse(channel, ErrorCode.KEY_VERSION_MISMATCH, answer(statement))
    statement = replace(statement, epoch=channel.epoch + 1)
    refuse(channel, ErrorCode.REPLAYED_KEY, answer(statement))
    channel = pair.restart_b(replace(honest, orders=Orders(0, 9), peer_public_key=IDENTITY_POINT))
    refuse(channel, ErrorCode.OFFER_OUTDATED, answer(statement))
    statement = replace(statement, order=10)
    refuse(channel, ErrorCode.INVALID_KEY, answer(statement))
    channel = pair.restart_b(honest)
    refuse(channel, ErrorCode.AUTH_FAILED, answer(statement))
    refuse(channel, ErrorCode.INVALID_KEY, answer(sign_offer(channel, LOW_ORDER_EPHEMERAL)))
    pair.rekey()


@pytest.mark.parametrize("epoch", [0, 1, 3, 2**32 - 1])
def test_only_the_next_epoch_is_accepted(epoch: int) -> None:
    pair = make_ready_pair()
    offer = replace(pair.a.start_offer(0.0), epoch=epoch)
    refuse(pair.b, ErrorCode.KEY_VERSION_MISMATCH, lambda: pair.b.answer_offer(offer, 0.0))


def test_a_replayed_ephemeral() -> None:
    pair = make_pair()
    offer = pair.a.start_offer(0.0)
    answer, confirm = pair.b.answer_offer(offer, 0.0)
    refuse(pair.b, ErrorCode.REPLAYED_KEY, lambda: pair.b.answer_offer(offer, 0.0))
    pair.b.check_confirm(1, pair.a.complete(answer, confirm, 0.0), 0.0)

    again = sign_offer(pair.b, offer.ephemeral)
    refuse(pair.b, ErrorCode.REPLAYED_KEY, lambda: pair.b.answer_offer(again, 0.0))
    own = sign_offer(pair.b, answer.ephemeral)
    refuse(pair.b, ErrorCode.REPLAYED_KEY, lambda: pair.b.answer_offer(own, 0.0))


def test_seen_ephemerals_survive_a_restart_and_stay_bounded() -> None:
    pair = make_ready_pair()
    offers = []
    for _ in range(40):
        offers.append(pair.a.start_offer(0.0))
        pair.b.answer_offer(offers[-1], 0.0)
    pair.restart_b(pair.b.snapshot())
    assert len(pair.b.snapshot().seen_ephemerals) == 32
    refuse(pair.b, ErrorCode.REPLAYED_KEY, lambda: pair.b.answer_offer(offers[-1], 0.0))
    refuse(pair.b, ErrorCode.REPLAYED_KEY, lambda: pair.b.answer_offer(offers[-16], 0.0))


def test_a_forgotten_ephemeral_does_no_harm() -> None:
    """Beyond the bound the order of an old offer tells that it is one."""
    pair = make_ready_pair()
    oldest = pair.a.start_offer(0.0)
    pair.b.answer_offer(oldest, 0.0)
    for _ in range(16):
        pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    refuse(pair.b, ErrorCode.OFFER_OUTDATED, lambda: pair.b.answer_offer(oldest, 0.0))
    assert pair.b.open(pair.a.seal(b"still", 0.0), 0.0) == b"still"


def test_an_offer_of_an_earlier_epoch_cannot_come_back() -> None:
    pair = make_ready_pair()
    first = pair.a.start_offer(0.0)
    pair.a.abandon_offer()
    pair.rekey()
    refuse(pair.b, ErrorCode.KEY_VERSION_MISMATCH, lambda: pair.b.answer_offer(first, 0.0))
    refuse(pair.b, ErrorCode.OFFER_OUTDATED, lambda: pair.b.answer_offer(replace(first, epoch=3), 0.0))
    refuse(pair.b, ErrorCode.AUTH_FAILED, lambda: pair.b.answer_offer(replace(first, epoch=3, order=99), 0.0))


@pytest.mark.parametrize("length", [31, 33])
def test_ephemeral_length(length: int) -> None:
    pair = make_pair()
    offer = replace(pair.a.start_offer(0.0), ephemeral=bytes(length))
    refuse(pair.b, ErrorCode.INVALID_FRAME, lambda: pair.b.answer_offer(offer, 0.0))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_signature_length(length: int) -> None:
    pair = make_pair()
    offer = replace(pair.a.start_offer(0.0), signature=bytes(length))
    refuse(pair.b, ErrorCode.INVALID_FRAME, lambda: pair.b.answer_offer(offer, 0.0))


CHANGES: dict[str, Callable[[HandshakeContext], HandshakeContext]] = {
    "kind": lambda c: replace(c, kind=ChannelKind.TIELINE),
    "chat": lambda c: replace(c, chat_id=ChatId(bytes(16))),
    "epoch": lambda c: replace(c, epoch=c.epoch + 1),
    "initiator": lambda c: replace(c, initiator=Party("app:x")),
    "responder": lambda c: replace(c, responder=Party("app:x")),
    "roles": lambda c: replace(c, initiator=c.responder, responder=c.initiator),
    "previous": lambda c: replace(c, previous_transcript_hash=bytes(32)),
}  # fmt: skip


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_signature_binds_its_whole_context(change: str) -> None:
    """An offer signed for any other context does not verify here."""
    pair = make_ready_pair()
    ephemeral = pair.a.start_offer(0.0).ephemeral
    right = context(pair.b, initiator=pair.b.peer, responder=pair.b.local)
    said = 9, PLAIN, ephemeral, b""
    statement = KeyStatement(2, *said, ALICE.sign(encode_offer(CHANGES[change](right), *said)))
    refuse(pair.b, ErrorCode.AUTH_FAILED, lambda: pair.b.answer_offer(statement, 0.0))
    pair.b.answer_offer(replace(statement, signature=ALICE.sign(encode_offer(right, *said))), 0.0)


def test_an_offer_is_not_an_answer() -> None:
    pair = make_pair()
    offer = pair.a.start_offer(0.0)
    as_initiator = context(pair.a, initiator=pair.a.local, responder=pair.a.peer)
    said = 1, PLAIN, OTHER.public_key, b""
    statement = KeyStatement(1, *said, BOB.sign(encode_offer(as_initiator, *said)))
    refuse(pair.a, ErrorCode.AUTH_FAILED, lambda: pair.a.complete(statement, bytes(32), 0.0))
    another = encode_offer(as_initiator, 1, PLAIN, bytes(32), b"")
    answer = encode_answer(as_initiator, Suite.X25519_SHA256, OTHER.public_key, b"", another)
    for_another_offer = KeyStatement(1, *said, BOB.sign(answer))
    refuse(pair.a, ErrorCode.AUTH_FAILED, lambda: pair.a.complete(for_another_offer, bytes(32), 0.0))
    answered, confirm = pair.b.answer_offer(offer, 0.0)
    pair.a.complete(answered, confirm, 0.0)


def test_an_answer_with_a_low_order_ephemeral() -> None:
    pair = make_pair()
    pair.a.start_offer(0.0)
    offer = pair.a.negotiation.offer
    assert offer is not None
    encoded = encode_answer(offer.context, Suite.X25519_SHA256, LOW_ORDER_EPHEMERAL, b"", offer.encoded)
    statement = KeyStatement(1, 1, PLAIN, LOW_ORDER_EPHEMERAL, b"", BOB.sign(encoded))
    refuse(pair.a, ErrorCode.INVALID_KEY, lambda: pair.a.complete(statement, bytes(32), 0.0))
    assert pair.a.offering


def test_an_answer_signed_by_somebody_else() -> None:
    pair = make_pair()
    offer = pair.a.start_offer(0.0)
    answer, confirm = pair.b.answer_offer(offer, 0.0)
    forged = replace(answer, signature=OTHER.sign(b"whatever"))
    refuse(pair.a, ErrorCode.AUTH_FAILED, lambda: pair.a.complete(forged, confirm, 0.0))
    assert pair.a.offering
    pair.a.complete(answer, confirm, 0.0)


def test_the_identity_key_must_be_the_named_party() -> None:
    pair = make_pair()
    offer = pair.a.start_offer(0.0)
    channel = make_channel_without_key()
    refuse(channel, ErrorCode.INVALID_KEY, lambda: channel.answer_offer(offer, 0.0))
    refuse(channel, ErrorCode.INVALID_KEY, lambda: channel.answer_offer(offer, 0.0, peer_public_key=OTHER.public_key))
    refuse(channel, ErrorCode.INVALID_KEY, lambda: channel.answer_offer(offer, 0.0, peer_public_key=bytes(31)))
    channel.answer_offer(offer, 0.0, peer_public_key=ALICE.public_key)
    assert channel.peer_public_key == ALICE.public_key
    later = pair.a.start_offer(0.0)
    refuse(channel, ErrorCode.INVALID_KEY, lambda: channel.answer_offer(later, 0.0, peer_public_key=OTHER.public_key))


def test_an_identity_point_that_the_party_commits_to_is_still_refused() -> None:
    """Otherwise one signature would fit every message of that party."""
    channel = make_channel_without_key(peer=app_party(derive_app_id(IDENTITY_POINT)))
    statement = KeyStatement(1, 1, PLAIN, OTHER.public_key, b"", IDENTITY_POINT + bytes(32))
    refuse(
        channel,
        ErrorCode.INVALID_KEY,
        lambda: channel.answer_offer(statement, 0.0, peer_public_key=IDENTITY_POINT),
    )


def make_channel_without_key(peer: Party | None = None) -> Channel:
    known = make_pair().b
    return Channel(
        kind=known.kind,
        chat_id=CHAT,
        identity=BOB,
        local=known.local,
        peer=peer or known.peer,
        peer_public_key=None,
        params=known.params,
        random=SYSTEM_RANDOM,
    )


def test_nobody_waits_for_an_answer() -> None:
    pair = make_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    pair.a.abandon_offer()
    refuse(pair.a, ErrorCode.KEY_VERSION_MISMATCH, lambda: pair.a.complete(answer, confirm, 0.0))


def test_epochs_end() -> None:
    pair = make_ready_pair()
    for channel in (pair.a, pair.b):
        assert channel.epochs.current is not None
        channel.epochs.current.number = 2**32 - 1
    refuse(pair.a, ErrorCode.RATCHET_FAILED, lambda: pair.a.start_offer(0.0))
    statement = KeyStatement(1, 1, PLAIN, bytes(32), b"", bytes(64))
    refuse(pair.b, ErrorCode.RATCHET_FAILED, lambda: pair.b.answer_offer(statement, 0.0))


# the order of offers


def test_an_offer_is_above_the_last_one_and_says_when_it_was_made() -> None:
    pair = make_pair()
    orders = [pair.a.start_offer(wall_s).order for wall_s in (1_700_000_000.25, 1_700_000_000.25, 5.0, 1_700_000_001.0)]
    assert orders == [1_700_000_000_250, 1_700_000_000_251, 1_700_000_000_252, 1_700_000_001_000]


def test_an_offer_that_a_newer_one_has_overtaken_is_refused_also_after_a_restart() -> None:
    pair = make_ready_pair()
    late, newer = pair.a.start_offer(0.0), pair.a.start_offer(0.0)
    answer, confirm = pair.b.answer_offer(newer, 0.0)
    refuse(pair.b, ErrorCode.OFFER_OUTDATED, lambda: pair.b.answer_offer(late, 0.0))
    pair.restart_b(pair.b.snapshot())
    refuse(pair.b, ErrorCode.OFFER_OUTDATED, lambda: pair.b.answer_offer(late, 0.0))
    pair.b.check_confirm(2, pair.a.complete(answer, confirm, 0.0), 0.0)
    assert pair.b.epoch == 2


def test_an_offer_that_was_verified_is_not_answered_once_a_newer_one_was() -> None:
    pair = make_ready_pair()
    verified = pair.b.verify_offer(pair.a.start_offer(0.0))
    pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    refuse(pair.b, ErrorCode.OFFER_OUTDATED, lambda: pair.b.prepare_answer(verified, 0.0))
    verified = pair.b.verify_offer(pair.a.start_offer(0.0))
    pair.rekey()
    refuse(pair.b, ErrorCode.KEY_VERSION_MISMATCH, lambda: pair.b.prepare_answer(verified, 0.0))


def test_an_answer_to_another_offer_is_no_forgery() -> None:
    """Whoever offered again meanwhile gets it from an honest peer."""
    pair = make_ready_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    pair.a.start_offer(0.0)
    refuse(pair.a, ErrorCode.KEY_VERSION_MISMATCH, lambda: pair.a.complete(answer, confirm, 0.0))


@pytest.mark.parametrize("rolled_back", [False, True])
def test_a_clock_that_is_behind_learns_the_order_from_a_claim(rolled_back: bool) -> None:
    """Also where the positions show that a store is an old one: a rekey is what cures that."""
    pair = make_ready_pair(ChannelKind.LEG, window=1)
    old = pair.a.snapshot()
    pair.b.answer_offer(pair.a.start_offer(1_700_000_000.0), 0.0)
    if rolled_back:
        for _ in range(3):
            pair.b.open(pair.a.seal(b"x", 0.0), 0.0)
    pair.restart_a(old)
    refuse(pair.b, ErrorCode.OFFER_OUTDATED, lambda: pair.b.answer_offer(pair.a.start_offer(5.0), 0.0))
    claims = pair.b.claims(BINDING)
    if rolled_back:
        with pytest.raises(ProtocolError) as raised:
            pair.a.resume(claims, BINDING, 0.0)
        assert raised.value.code is ErrorCode.ROLLBACK_DETECTED
    else:
        pair.a.resume(claims, BINDING, 0.0)
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(5.0), 0.0)
    pair.b.check_confirm(2, pair.a.complete(answer, confirm, 0.0), 0.0)


def test_an_order_that_nobody_can_vouch_for_is_not_learned() -> None:
    pair = make_ready_pair(ChannelKind.LEG)
    (claim,) = pair.b.claims(BINDING)
    refuse(pair.a, ErrorCode.AUTH_FAILED, lambda: pair.a.resume((replace(claim, order=2**62),), BINDING, 0.0))
    assert pair.a.start_offer(0.0).order == 2
