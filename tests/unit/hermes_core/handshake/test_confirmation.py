"""Key confirmation: nobody uses an epoch the other side has not proven to hold."""

from __future__ import annotations

import pytest

from hermes_core.crypto.suites import Suite
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import Role
from hermes_core.ratchet.channel import Channel
from tests.unit.hermes_core.ratchet.pairs import Pair, describe_state, make_pair, make_ready_pair


def flip(tag: bytes, place: int) -> bytes:
    changed = bytearray(tag)
    changed[place] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("suite", list(Suite))
def test_every_byte_of_the_responders_tag_matters(suite: Suite) -> None:
    pair = make_pair(suites=(suite,))
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    before = describe_state(pair.a)
    for wrong in [*(flip(confirm, place) for place in range(len(confirm))), b"", confirm[:-1], confirm + b"\0"]:
        with pytest.raises(ProtocolError) as raised:
            pair.a.complete(answer, wrong, 0.0)
        assert raised.value.code is ErrorCode.KEY_MISMATCH
        assert describe_state(pair.a) == before
    pair.a.complete(answer, confirm, 0.0)
    assert pair.a.epoch == 1


@pytest.mark.parametrize("suite", list(Suite))
def test_every_byte_of_the_initiators_tag_matters(suite: Suite) -> None:
    pair = make_pair(suites=(suite,))
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    tag = pair.a.complete(answer, confirm, 0.0)
    before = describe_state(pair.b)
    for wrong in [*(flip(tag, place) for place in range(len(tag))), confirm, b"", tag + b"\0"]:
        with pytest.raises(ProtocolError) as raised:
            pair.b.check_confirm(1, wrong, 0.0)
        assert raised.value.code is ErrorCode.KEY_MISMATCH
        assert describe_state(pair.b) == before
    pair.b.check_confirm(1, tag, 0.0)
    assert (pair.b.epoch, pair.b.pending_epoch) == (1, 0)


def test_check_confirm_is_idempotent() -> None:
    pair = make_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    tag = pair.a.complete(answer, confirm, 0.0)
    pair.b.check_confirm(1, tag, 0.0)
    before = describe_state(pair.b)
    pair.b.check_confirm(1, tag, 5.0)
    assert describe_state(pair.b) == before
    with pytest.raises(ProtocolError) as raised:
        pair.b.check_confirm(1, flip(tag, 0), 5.0)
    assert raised.value.code is ErrorCode.KEY_MISMATCH


@pytest.mark.parametrize("epoch", [0, 1, 2, 4])
def test_a_confirmation_for_another_epoch(epoch: int) -> None:
    pair = make_ready_pair()
    pair.rekey()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    tag = pair.a.complete(answer, confirm, 0.0)
    with pytest.raises(ProtocolError) as raised:
        pair.b.check_confirm(epoch, tag, 0.0)
    # epoch 2 is in use and could be confirmed again, but by its own tag only
    assert raised.value.code is (ErrorCode.KEY_MISMATCH if epoch == 2 else ErrorCode.KEY_VERSION_MISMATCH)
    pair.b.check_confirm(3, tag, 0.0)


def test_an_initiator_is_not_confirmed() -> None:
    pair = make_ready_pair()
    with pytest.raises(ProtocolError) as raised:
        pair.a.check_confirm(1, bytes(32), 0.0)
    assert raised.value.code is ErrorCode.KEY_VERSION_MISMATCH


def proved(pair: Pair) -> bool:
    return pair.a.confirm_tag() is None


def test_the_initiator_repeats_its_tag_until_the_peer_used_the_epoch() -> None:
    pair = make_pair()
    assert pair.a.confirm_tag() is None
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    tag = pair.a.complete(answer, confirm, 0.0)
    assert pair.a.confirm_tag() == (1, tag)
    pair.restart_a(pair.a.snapshot())
    assert pair.a.confirm_tag() == (1, tag)
    pair.b.check_confirm(1, tag, 0.0)
    pair.a.open(pair.b.seal(b"x", 0.0), 0.0)
    assert proved(pair)
    assert pair.b.confirm_tag() is None


def test_a_resume_in_the_epoch_ends_the_repetition() -> None:
    pair = make_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    pair.a.complete(answer, confirm, 0.0)
    pair.resume()
    assert proved(pair)
    assert pair.b.epoch == 1


def test_a_frame_of_the_old_epoch_does_not_end_it() -> None:
    pair = make_ready_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    old = pair.b.seal(b"old", 0.0)
    tag = pair.a.complete(answer, confirm, 0.0)
    assert pair.a.open(old, 0.0) == b"old"
    assert pair.a.confirm_tag() == (2, tag)


def test_mixing_in_the_wrong_previous_key_is_seen_at_once() -> None:
    """Who knows both identities but not the previous epoch cannot forge a rekey; it never diverges silently."""
    pair = make_ready_pair()
    snapshot = pair.b.snapshot()
    assert snapshot.current is not None
    snapshot.current.ratchet.buffer[0] ^= 1
    pair.restart_b(snapshot)
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    with pytest.raises(ProtocolError) as raised:
        pair.a.complete(answer, confirm, 0.0)
    assert raised.value.code is ErrorCode.KEY_MISMATCH
    assert pair.a.epoch == 1


def roles(channel: Channel) -> Role:
    assert channel.epochs.current is not None
    return channel.epochs.current.role


def test_roles_belong_to_the_epoch() -> None:
    pair = make_ready_pair()
    assert (roles(pair.a), roles(pair.b)) == (Role.INITIATOR, Role.RESPONDER)
    Pair(pair.b, pair.a).rekey()
    assert (roles(pair.a), roles(pair.b)) == (Role.RESPONDER, Role.INITIATOR)
    assert pair.b.open(pair.a.seal(b"x", 0.0), 0.0) == b"x"
