"""Rekey: who uses which epoch when, how long the old one is read, and that its keys are gone afterwards."""

from __future__ import annotations

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChannelKind
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.epoch import Epoch
from tests.unit.hermes_core.ratchet.pairs import describe_state, make_ready_pair


def current(channel: Channel) -> Epoch:
    assert channel.epochs.current is not None
    return channel.epochs.current


def is_zero(buffer: bytearray) -> bool:
    return buffer == bytes(len(buffer))


def expect(code: ErrorCode, channel: Channel, frame: bytes, now: float = 0.0) -> None:
    with pytest.raises(ProtocolError) as raised:
        channel.open(frame, now)
    assert raised.value.code is code


def test_who_switches_when() -> None:
    pair = make_ready_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    assert (pair.a.epoch, pair.a.offering, pair.b.epoch, pair.b.pending_epoch) == (1, True, 1, 2)
    assert pair.b.open(pair.a.seal(b"still old", 0.0), 0.0) == b"still old"
    tag = pair.a.complete(answer, confirm, 7.9)
    assert (pair.a.epoch, pair.a.offering, pair.a.epoch_started_at_s) == (2, False, 7)
    assert pair.a.open(pair.b.seal(b"old too", 8.0), 8.0) == b"old too"
    expect(ErrorCode.CHAT_NOT_READY, pair.b, pair.a.seal(b"before the confirmation", 8.0))
    pair.b.check_confirm(2, tag, 8.0)
    assert (pair.b.epoch, pair.b.pending_epoch) == (2, 0)
    assert pair.a.open(pair.b.seal(b"new", 8.0), 8.0) == b"new"


def test_sending_keys_of_the_old_epoch_go_at_once() -> None:
    pair = make_ready_pair()
    pair.a.seal(b"x", 0.0)
    old = current(pair.a)
    buffers = [old.send._key, old.send._reserved_key]
    pair.rekey()
    assert all(map(is_zero, buffers))
    assert not is_zero(old.recv._key)


def test_the_first_frame_of_the_new_epoch_wipes_the_old() -> None:
    pair = make_ready_pair()
    late = pair.a.seal(b"late", 0.0)
    old = current(pair.b)
    pair.rekey()
    assert pair.b.open(late, 0.0) == b"late"

    assert pair.b.next_timer() == 30.0
    pair.b.open(pair.a.seal(b"new", 0.0), 0.0)
    expect(ErrorCode.KEY_VERSION_MISMATCH, pair.b, late)
    assert all(map(is_zero, (old.recv._key, old.recv._reserved_key)))
    assert old.mac.wiped
    assert old.ratchet.wiped
    assert pair.b.next_timer() is None


def test_a_forged_frame_of_the_new_epoch_wipes_nothing() -> None:
    pair = make_ready_pair()
    late = pair.a.seal(b"late", 0.0)
    pair.rekey()
    frame = pair.a.seal(b"new", 0.0)
    expect(ErrorCode.AUTH_FAILED, pair.b, frame[:-1] + bytes([frame[-1] ^ 1]))
    assert pair.b.open(late, 0.0) == b"late"


@pytest.mark.parametrize("overlap_s", [30, 5])
def test_the_overlap_ends_at_the_latest_after_its_time(overlap_s: float) -> None:
    pair = make_ready_pair(overlap_s=overlap_s)
    frames = [pair.a.seal(b"x", 0.0) for _ in range(2)]
    old = current(pair.b)
    pair.rekey(now=100.0)
    assert pair.b.next_timer() == 100.0 + overlap_s
    pair.b.handle_timer(100.0 + overlap_s - 0.001)
    assert pair.b.open(frames[0], 100.0) == b"x"
    pair.b.handle_timer(100.0 + overlap_s)
    expect(ErrorCode.KEY_VERSION_MISMATCH, pair.b, frames[1], 100.0 + overlap_s)
    assert is_zero(old.recv._key)
    assert old.mac.wiped


def test_an_overdue_old_epoch_is_not_read_even_if_the_timer_is_late() -> None:
    pair = make_ready_pair()
    late = pair.a.seal(b"late", 0.0)
    pair.rekey(now=100.0)
    expect(ErrorCode.KEY_VERSION_MISMATCH, pair.b, late, 130.0)


def test_a_second_rekey_within_the_overlap_keeps_one_old_epoch() -> None:
    pair = make_ready_pair()
    first = pair.a.seal(b"1", 0.0)
    pair.rekey()
    second = pair.a.seal(b"2", 0.0)
    pair.rekey()
    expect(ErrorCode.KEY_VERSION_MISMATCH, pair.b, first)
    assert pair.b.open(second, 0.0) == b"2"


def test_positions_of_an_old_epoch_are_not_used_twice() -> None:
    pair = make_ready_pair()
    frame = pair.a.seal(b"old", 0.0)
    pair.rekey()
    pair.b.open(frame, 0.0)
    expect(ErrorCode.REPLAYED_FRAME, pair.b, frame)


def test_a_newer_offer_replaces_the_pending_epoch() -> None:
    pair = make_ready_pair()
    first = pair.a.start_offer(0.0)
    stale_answer, stale_confirm = pair.b.answer_offer(first, 0.0)
    stale = pair.b.epochs.pending
    assert stale is not None
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    assert is_zero(stale.recv._key)
    assert stale.mac.wiped
    before = describe_state(pair.a)
    with pytest.raises(ProtocolError) as raised:
        pair.a.complete(stale_answer, stale_confirm, 0.0)
    assert raised.value.code is ErrorCode.KEY_VERSION_MISMATCH
    assert describe_state(pair.a) == before
    pair.b.check_confirm(2, pair.a.complete(answer, confirm, 0.0), 0.0)
    assert pair.b.open(pair.a.seal(b"x", 0.0), 0.0) == b"x"


def test_crossing_offers_the_loser_adopts_the_winners() -> None:
    pair = make_ready_pair()
    winning, losing = pair.a.start_offer(0.0), pair.b.start_offer(0.0)
    answer, confirm = pair.b.answer_offer(winning, 0.0)
    assert not pair.b.offering
    assert pair.a.offering
    assert losing.epoch == winning.epoch
    pair.b.check_confirm(2, pair.a.complete(answer, confirm, 0.0), 0.0)
    assert pair.a.open(pair.b.seal(b"x", 0.0), 0.0) == b"x"


def test_abandon_and_drop_return_to_the_epoch_in_use() -> None:
    pair = make_ready_pair()
    pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    pending = pair.b.epochs.pending
    assert pending is not None
    pair.b.snapshot()
    pair.a.abandon_offer()
    pair.b.drop_pending()
    assert pair.b.dirty
    assert (pair.a.offering, pair.b.pending_epoch) == (False, 0)
    assert pending.mac.wiped
    assert pair.b.open(pair.a.seal(b"x", 0.0), 0.0) == b"x"
    pair.rekey()
    assert pair.a.epoch == pair.b.epoch == 2


def test_rekey_heals_what_leaked_and_cannot_be_forged_without_it() -> None:
    """The new chain keys depend on the fresh exchange as well as on the previous `ratchet` key."""
    first, second = make_ready_pair(), make_ready_pair()
    keys = set()
    for pair in (first, second):
        pair.rekey()
        keys |= {bytes(current(pair.a).send._key), bytes(current(pair.b).send._key)}
    assert len(keys) == 4


def test_wipe_leaves_no_key() -> None:
    pair = make_ready_pair(ChannelKind.END_TO_END)
    pair.rekey()
    pair.a.seal(b"lost", 0.0)
    pair.b.open(pair.a.seal(b"x", 0.0), 0.0, may_lack=1)
    pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    epochs = [
        epoch
        for epoch in (pair.b.epochs.current, pair.b.epochs.pending, pair.a.epochs.current, pair.a.epochs.old)
        if epoch is not None
    ]
    assert len(epochs) == 4
    pair.a.wipe()
    pair.b.wipe()
    for epoch in epochs:
        assert epoch.mac.wiped
        assert epoch.ratchet.wiped
        for chain in (epoch.send, epoch.recv):
            assert is_zero(chain._key)
            assert is_zero(chain._reserved_key)
            assert chain._rows is None
    for channel in (pair.a, pair.b):
        with pytest.raises(ProtocolError) as raised:
            channel.seal(b"x", 0.0)
        assert raised.value.code is ErrorCode.CHAT_NOT_READY
        assert (channel.epoch, channel.offering, channel.next_timer()) == (0, False, None)
