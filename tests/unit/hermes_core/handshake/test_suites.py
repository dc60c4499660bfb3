"""What two ends agree on besides keys: the suite, which nobody on the way can lower, and what ML-KEM-768 adds to the secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hermes_core.crypto import mlkem
from hermes_core.crypto.mlkem import CIPHERTEXT_BYTES, ENCAPSULATION_KEY_BYTES, Encapsulation
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.suites import Suite
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.handshake.transcript import encode_answer, encode_offer
from hermes_core.ids import ChannelKind
from hermes_core.ratchet.params import ChannelParams
from tests.unit.hermes_core.handshake.test_handshake_checks import context, refuse
from tests.unit.hermes_core.ratchet.pairs import ALICE, BOB, Pair, Wired, make_pair, make_ready_pair, restore

PLAIN_256, PLAIN_512, HYBRID_256, HYBRID_512 = Suite
HYBRIDS = (HYBRID_256, HYBRID_512)


def make_ends(first: tuple[Suite, ...], second: tuple[Suite, ...]) -> Pair:
    """Two ends that allow these, before their first handshake."""
    return Pair(make_pair(suites=first).a, make_pair(suites=second).b)


def change_suites(channel: Wired, *suites: Suite) -> Wired:
    """The channel after a restart with another setting."""
    return restore(channel.snapshot(), ALICE if channel.local < channel.peer else BOB, ChannelParams(suites=suites))


def code_of(call: Callable[[], object]) -> ErrorCode:
    with pytest.raises(ProtocolError) as raised:
        call()
    return raised.value.code


# the pick


@pytest.mark.parametrize("kind", list(ChannelKind))
def test_by_default_content_is_hybrid_and_hops_are_not(kind: ChannelKind) -> None:
    pair = make_ready_pair(kind)
    assert pair.a.suite is pair.b.suite is (HYBRID_256 if kind is ChannelKind.END_TO_END else PLAIN_256)
    pair.rekey()
    assert (pair.a.epoch, pair.a.suite) == (2, pair.b.suite)
    assert pair.a.suite is (HYBRID_256 if kind is ChannelKind.END_TO_END else PLAIN_256)


@pytest.mark.parametrize(
    ("first", "second", "pick"),
    [
        ((HYBRID_256, PLAIN_256), (PLAIN_256, HYBRID_256), HYBRID_256),
        ((PLAIN_512, PLAIN_256), (PLAIN_256, PLAIN_512), PLAIN_512),
        ((HYBRID_512, PLAIN_512), (PLAIN_512,), PLAIN_512),
    ],
)
def test_the_first_of_the_initiators_that_the_responder_allows(
    first: tuple[Suite, ...], second: tuple[Suite, ...], pick: Suite
) -> None:
    pair = make_ends(first, second)
    pair.rekey()
    assert pair.a.suite is pair.b.suite is pick
    assert pair.b.open(pair.a.seal(b"x", 0.0), 0.0) == b"x"


def test_without_one_in_common_the_chat_cannot_be_and_neither_end_has_changed() -> None:
    pair = make_ends((HYBRID_256, PLAIN_256), (PLAIN_512,))
    offer = pair.a.start_offer(0.0)
    refuse(pair.b, ErrorCode.UNSUPPORTED, lambda: pair.b.answer_offer(offer, 0.0))
    assert ProtocolError(ErrorCode.UNSUPPORTED).scope is ErrorScope.CHAT


def test_a_suite_that_nobody_knows_is_passed_over_also_with_a_key_that_it_may_take() -> None:
    pair = make_ends((PLAIN_256,), (PLAIN_256,))
    said = 1, bytes([200, PLAIN_256]), pair.a.start_offer(0.0).ephemeral, bytes(ENCAPSULATION_KEY_BYTES)
    encoded = encode_offer(context(pair.b, initiator=pair.b.peer, responder=pair.b.local), *said)
    answer, _ = pair.b.answer_offer(KeyStatement(1, *said, ALICE.sign(encoded)), 0.0)
    assert (answer.suites, answer.kem) == (bytes([PLAIN_256]), b"")


# nobody on the way lowers it


@pytest.mark.parametrize("listed", [(PLAIN_256,), (PLAIN_256, HYBRID_256), (HYBRID_256, HYBRID_512, PLAIN_256)])
def test_a_list_that_was_changed_on_the_way_is_not_the_senders(listed: tuple[Suite, ...]) -> None:
    pair = make_ends((HYBRID_256, PLAIN_256), tuple(Suite))
    offer = replace(pair.a.start_offer(0.0), suites=bytes(listed))
    refuse(pair.b, ErrorCode.AUTH_FAILED, lambda: pair.b.answer_offer(offer, 0.0))


def test_a_pick_that_was_changed_on_the_way_is_not_the_responders() -> None:
    pair = make_ends((PLAIN_512, PLAIN_256), (PLAIN_512, PLAIN_256))
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    changed = replace(answer, suites=bytes([PLAIN_256]))
    refuse(pair.a, ErrorCode.AUTH_FAILED, lambda: pair.a.complete(changed, confirm, 0.0))
    assert pair.a.offering
    pair.a.complete(answer, confirm, 0.0)


def test_two_picks_of_one_hash_make_other_bytes() -> None:
    """Only the pick itself tells them apart, where no ciphertext does."""
    pair = make_pair()
    about = context(pair.b, initiator=pair.b.peer, responder=pair.b.local)
    encoded = [encode_answer(about, suite, bytes(32), b"", b"the offer") for suite in (PLAIN_256, HYBRID_256)]
    assert encoded[0] != encoded[1]


def test_a_responder_that_picks_what_was_not_offered_is_refused() -> None:
    pair = make_ends((PLAIN_256,), (PLAIN_256,))
    pair.a.start_offer(0.0)
    offer = pair.a.negotiation.offer
    assert offer is not None
    ephemeral = make_pair().b.start_offer(0.0).ephemeral
    encoded = encode_answer(offer.context, PLAIN_512, ephemeral, b"", offer.encoded)
    answer = KeyStatement(1, 1, bytes([PLAIN_512]), ephemeral, b"", BOB.sign(encoded))
    refuse(pair.a, ErrorCode.UNSUPPORTED, lambda: pair.a.complete(answer, bytes(64), 0.0))


# never below what was used


@pytest.mark.parametrize(
    ("used", "lower"), [(PLAIN_512, PLAIN_256), (HYBRID_256, PLAIN_256), (HYBRID_256, PLAIN_512), (HYBRID_512, HYBRID_256)]
)
def test_a_rekey_below_the_suite_in_use_is_refused_by_the_responder(used: Suite, lower: Suite) -> None:
    """Also when the initiator's own signature asks for it, and our setting would allow it."""
    pair = make_ends((used, lower), (used, lower))
    pair.rekey()
    assert pair.b.suite is used
    pair.b = change_suites(pair.b, lower, used)
    lowered = make_pair(suites=(lower,)).a
    kem = lowered.start_offer(0.0).kem
    said = 9, bytes([lower]), lowered.start_offer(0.0).ephemeral, kem
    encoded = encode_offer(context(pair.b, initiator=pair.b.peer, responder=pair.b.local), *said)
    statement = KeyStatement(2, *said, ALICE.sign(encoded))
    refuse(pair.b, ErrorCode.UNSUPPORTED, lambda: pair.b.answer_offer(statement, 0.0))
    pair.rekey()
    assert pair.b.suite is used


def test_an_initiator_does_not_offer_less_than_it_has_used_whatever_is_set_now() -> None:
    pair = make_ends(HYBRIDS, HYBRIDS)
    pair.rekey()
    pair.a, pair.b = change_suites(pair.a, PLAIN_256), change_suites(pair.b, PLAIN_256)
    assert pair.a.start_offer(0.0).suites == bytes([HYBRID_256])
    pair.rekey()
    assert (pair.a.epoch, pair.a.suite, pair.b.suite) == (2, HYBRID_256, HYBRID_256)


def test_a_channel_that_begins_anew_does_not_begin_below_what_it_used() -> None:
    pair = make_ends((HYBRID_256, PLAIN_256), (HYBRID_256, PLAIN_256))
    pair.rekey()
    pair.a.restart()
    pair.b.restart()
    assert (pair.a.epoch, pair.a.start_offer(0.0).suites) == (0, bytes([HYBRID_256]))
    pair.rekey()
    assert (pair.a.epoch, pair.a.suite, pair.b.suite) == (1, HYBRID_256, HYBRID_256)


@pytest.mark.parametrize("used", [PLAIN_512, HYBRID_256])
def test_a_channel_that_begins_anew_keeps_its_floor_over_a_restart_with_less(used: Suite) -> None:
    pair = make_ends((used,), (used,))
    pair.rekey()
    pair.a.restart()
    pair.b.restart()
    for _ in range(2):  # nor does the second restart know less
        pair.a, pair.b = change_suites(pair.a, PLAIN_256), change_suites(pair.b, PLAIN_256)
    lowered = make_pair(suites=(PLAIN_256,))
    refuse(pair.b, ErrorCode.UNSUPPORTED, lambda: pair.b.answer_offer(lowered.a.start_offer(0.0), 0.0))
    assert pair.a.start_offer(0.0).suites == bytes([used])
    pair.rekey()
    assert (pair.a.epoch, pair.a.suite, pair.b.suite) == (1, used, used)


def test_a_rekey_goes_up_and_the_claims_and_records_of_both_epochs_say_so() -> None:
    pair = make_ready_pair(suites=(PLAIN_256,))
    pair.a, pair.b = change_suites(pair.a, HYBRID_512), change_suites(pair.b, HYBRID_512)
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    assert [claim.suite for claim in pair.b.claims(bytes(32))] == [PLAIN_256, HYBRID_512]
    pair.restart_b(pair.b.snapshot())
    tag = pair.a.complete(answer, confirm, 0.0)
    frame = pair.a.seal(b"x", 0.0)
    pair.b.check_confirm(2, tag, 0.0)
    assert pair.b.open(frame, 0.0) == b"x"
    pair.restart_a(pair.a.snapshot())
    pair.resume()
    assert pair.a.suite is pair.b.suite is HYBRID_512


def test_a_claim_of_another_suite_is_no_claim_of_this_epoch() -> None:
    pair = make_ready_pair(suites=HYBRIDS)
    (claim,) = pair.a.claims(bytes(32))
    for suite in (PLAIN_256, 200):
        other = replace(claim, suite=int(suite))
        refuse(pair.b, ErrorCode.RATCHET_DESYNC, lambda other=other: pair.b.resume((other,), bytes(32), 0.0))  # type: ignore[misc]


# lengths, and what is no key


@pytest.mark.parametrize("length", [0, ENCAPSULATION_KEY_BYTES - 1, ENCAPSULATION_KEY_BYTES + 1])
def test_the_length_of_an_encapsulation_key_comes_before_the_signature(length: int) -> None:
    pair = make_ends(HYBRIDS, HYBRIDS)
    offer = replace(pair.a.start_offer(0.0), kem=bytes(length))
    refuse(pair.b, ErrorCode.INVALID_FRAME, lambda: pair.b.answer_offer(offer, 0.0))


@pytest.mark.parametrize("length", [1, ENCAPSULATION_KEY_BYTES - 1, ENCAPSULATION_KEY_BYTES + 1])
def test_an_offer_without_a_hybrid_suite_has_no_half_of_a_key(length: int) -> None:
    pair = make_pair(suites=(PLAIN_256,))
    offer = replace(pair.a.start_offer(0.0), kem=bytes(length))
    refuse(pair.b, ErrorCode.INVALID_FRAME, lambda: pair.b.answer_offer(offer, 0.0))


@pytest.mark.parametrize("length", [0, CIPHERTEXT_BYTES - 1, CIPHERTEXT_BYTES + 1])
def test_the_length_of_a_ciphertext_comes_before_the_signature(length: int) -> None:
    pair = make_ends(HYBRIDS, HYBRIDS)
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    refuse(pair.a, ErrorCode.INVALID_FRAME, lambda: pair.a.complete(replace(answer, kem=bytes(length)), confirm, 0.0))
    pair.a.complete(answer, confirm, 0.0)


def test_an_answer_with_a_classical_pick_has_no_ciphertext() -> None:
    pair = make_ends((HYBRID_256, PLAIN_256), (PLAIN_256,))
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    assert answer.kem == b""
    changed = replace(answer, kem=bytes(CIPHERTEXT_BYTES))
    refuse(pair.a, ErrorCode.INVALID_FRAME, lambda: pair.a.complete(changed, confirm, 0.0))


@pytest.mark.parametrize("suites", [b"", bytes(9)])
def test_an_offer_lists_one_to_eight_suites(suites: bytes) -> None:
    pair = make_pair()
    offer = replace(pair.a.start_offer(0.0), suites=suites)
    refuse(pair.b, ErrorCode.INVALID_FRAME, lambda: pair.b.answer_offer(offer, 0.0))
    offer = replace(pair.a.start_offer(0.0), suites=bytes([200] * 7 + [PLAIN_256]))
    refuse(pair.b, ErrorCode.AUTH_FAILED, lambda: pair.b.answer_offer(offer, 0.0))


@pytest.mark.parametrize("suites", [b"", b"\x01\x01"])
def test_an_answer_picks_one(suites: bytes) -> None:
    pair = make_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    refuse(pair.a, ErrorCode.INVALID_FRAME, lambda: pair.a.complete(replace(answer, suites=suites), confirm, 0.0))


def test_a_signed_key_that_is_none_is_refused_when_it_comes() -> None:
    """All coefficients beyond the modulus; the signature comes first."""
    pair = make_ends(HYBRIDS, HYBRIDS)
    offer = pair.a.start_offer(0.0)
    refuse(pair.b, ErrorCode.AUTH_FAILED, lambda: pair.b.verify_offer(replace(offer, kem=b"\xff" * ENCAPSULATION_KEY_BYTES)))
    said = offer.order, offer.suites, offer.ephemeral, b"\xff" * ENCAPSULATION_KEY_BYTES
    encoded = encode_offer(context(pair.b, initiator=pair.b.peer, responder=pair.b.local), *said)
    signed = KeyStatement(1, *said, ALICE.sign(encoded))
    refuse(pair.b, ErrorCode.INVALID_KEY, lambda: pair.b.verify_offer(signed))


# what ML-KEM adds


def test_a_wrong_ciphertext_gives_other_keys_which_the_confirmation_tells() -> None:
    """Of a responder who signed it: there is no error before."""
    pair = make_ends(HYBRIDS, HYBRIDS)
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    offer = pair.a.negotiation.offer
    assert offer is not None
    wrong = bytes([answer.kem[0] ^ 1]) + answer.kem[1:]
    encoded = encode_answer(offer.context, HYBRID_256, answer.ephemeral, wrong, offer.encoded)
    signed = replace(answer, kem=wrong, signature=BOB.sign(encoded))
    refuse(pair.a, ErrorCode.KEY_MISMATCH, lambda: pair.a.complete(signed, confirm, 0.0))
    assert pair.a.offering


def test_its_secrets_are_wiped_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets: list[SecretBytes] = []
    own = mlkem._own
    monkeypatch.setattr(mlkem, "_own", lambda shared: secrets.append(own(shared)) or secrets[-1])  # type: ignore[func-returns-value]
    pair = make_ends(HYBRIDS, HYBRIDS)
    statement = pair.a.start_offer(0.0)
    offer = pair.a.negotiation.offer
    assert offer is not None
    assert offer.decapsulation is not None
    answer, confirm = pair.b.answer_offer(statement, 0.0)
    pair.a.complete(answer, confirm, 0.0)
    assert [secret.wiped for secret in secrets] == [True, True]
    with pytest.raises(ValueError, match="wiped"):
        offer.decapsulation.decapsulate(answer.kem)


def test_its_secrets_are_wiped_when_an_answer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = SecretBytes(32)
    pair = make_ends(HYBRIDS, HYBRIDS)
    verified = pair.b.verify_offer(pair.a.start_offer(0.0))
    monkeypatch.setattr(mlkem.MlKem768, "encapsulate", lambda *_: Encapsulation(secret, bytes(CIPHERTEXT_BYTES)))
    broken = replace(verified, statement=replace(verified.statement, ephemeral=bytes(32)))
    assert code_of(lambda: pair.b.prepare_answer(broken, 0.0)) is ErrorCode.INVALID_KEY
    assert secret.wiped


@pytest.mark.parametrize("end", [Wired.abandon_offer, Wired.wipe, lambda channel: channel.start_offer(0.0)])
def test_the_key_goes_with_its_offer(end: Callable[[Wired], object]) -> None:
    pair = make_ends(HYBRIDS, HYBRIDS)
    pair.a.start_offer(0.0)
    offer = pair.a.negotiation.offer
    assert offer is not None
    assert offer.decapsulation is not None
    end(pair.a)
    with pytest.raises(ValueError, match="wiped"):
        offer.decapsulation.decapsulate(bytes(CIPHERTEXT_BYTES))


def test_a_secret_of_the_library_is_moved() -> None:
    shared = bytes(range(1, 33))
    assert mlkem._own(shared).buffer == bytes(range(1, 33))
    assert shared == bytes(32)
