"""The disk is always ahead of the wire: no position is used twice after any restart, and a stolen disk opens nothing sent."""

from __future__ import annotations

import random

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChannelKind
from hermes_core.ratchet.channel import ChannelParams
from hermes_core.ratchet.state import ChannelSnapshot
from tests.unit.hermes_core.ratchet.pairs import ALICE, BOB, make_ready_pair, reserving_positions, restore


@pytest.mark.parametrize("window", [1, 2, 256, 1024])
def test_the_snapshot_is_ahead_of_every_frame(window: int) -> None:
    pair = make_ready_pair(window=window)
    pair.a.snapshot()
    pair.b.snapshot()
    commits = {"a": 0, "b": 0}
    places = reserving_positions(window, 600)
    for index in range(600):
        frame = pair.a.seal(b"x", 0.0)
        assert pair.a.dirty is (index in places)
        commits["a"] += pair.a.dirty
        snapshot = pair.a.snapshot()
        assert snapshot.current is not None
        assert index < snapshot.current.send.reserved <= index + window
        pair.b.open(frame, 0.0)
        assert pair.b.dirty is (index in places)
        commits["b"] += pair.b.dirty
        taken = pair.b.snapshot()
        assert taken.current is not None
        assert index < taken.current.recv.reserved <= index + window
    assert commits == {"a": len(places), "b": len(places)}


def test_snapshot_resets_dirty() -> None:
    pair = make_ready_pair()
    assert pair.a.dirty
    pair.a.snapshot()
    assert not pair.a.dirty


@pytest.mark.parametrize("window", [1, 2, 7, 256])
def test_no_position_is_used_twice_whenever_it_stops(window: int) -> None:
    """A sender that loses its memory again and again, each time restored from the snapshot that was durable."""
    chosen = random.randrange(2**32)
    print("seed", chosen)
    rng = random.Random(chosen)
    pair = make_ready_pair(window=window, max_skip=1024)
    durable: dict[str, ChannelSnapshot] = {"a": pair.a.snapshot(), "b": pair.b.snapshot()}
    sent: set[bytes] = set()
    delivered: set[bytes] = set()
    for index in range(400):
        frame = pair.a.seal(b"%d" % index, 0.0)
        if pair.a.dirty:
            if rng.random() < 0.3:  # killed before the commit: the frame never left
                pair.restart_a(durable["a"])
                pair.resume()
                continue
            durable["a"] = pair.a.snapshot()
        assert frame[:31] not in sent
        sent.add(frame[:31])
        if rng.random() < 0.8:
            text = pair.b.open(frame, 0.0)
            if pair.b.dirty and rng.random() < 0.3:
                pair.restart_b(durable["b"])  # killed before the commit: it has not told anybody
                pair.resume()
                continue
            if pair.b.dirty:
                durable["b"] = pair.b.snapshot()
            assert text not in delivered
            delivered.add(text)
        else:  # lost, as a frame is only with its stream
            pair.resume()
        if rng.random() < 0.15:
            pair.restart_a(durable["a"])
            pair.resume()
        if rng.random() < 0.15:
            pair.restart_b(durable["b"])
            pair.resume()
            for old in list(sent)[-5:]:
                with pytest.raises(ProtocolError):
                    pair.b.open(old + bytes(20), 0.0)
    assert len(delivered) > 100


@pytest.mark.parametrize("restore_sender", [True, False])
def test_a_stolen_disk_opens_nothing_that_was_sent(restore_sender: bool) -> None:
    """Whoever has volume and passphrase holds the keys at the reserved positions, and chains do not run backwards."""
    pair = make_ready_pair()
    frames = []
    for _ in range(300):
        frames.append(pair.a.seal(b"secret", 0.0))
        pair.b.open(frames[-1], 0.0)
    stolen = pair.a.snapshot() if restore_sender else pair.b.snapshot()
    assert stolen.current is not None
    chain = stolen.current.send if restore_sender else stolen.current.recv
    if restore_sender:  # a thief reads with the sending chain
        stolen.current.recv = chain
        stolen.current.role = stolen.current.role.peer
    thief = restore(stolen, ALICE if restore_sender else BOB, ChannelParams())
    for frame in frames:
        with pytest.raises(ProtocolError) as raised:
            thief.open(frame, 0.0)
        assert raised.value.code is ErrorCode.REPLAYED_FRAME
    for _ in range(300, thief.recv_next):
        pair.b.open(pair.a.seal(b"secret", 0.0), 0.0)
    later = pair.a.seal(b"what is still to come", 0.0)
    assert thief.open(later, 0.0) == b"what is still to come"
    pair.rekey()
    with pytest.raises(ProtocolError) as raised:
        thief.open(pair.a.seal(b"healed", 0.0), 0.0)
    assert raised.value.code is ErrorCode.KEY_VERSION_MISMATCH


def test_a_restart_in_the_middle_of_a_rekey() -> None:
    """The responder's pending epoch and the initiator's new one are durable before answer and confirmation leave."""
    pair = make_ready_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    assert pair.b.dirty
    pair.restart_b(pair.b.snapshot())
    assert (pair.b.epoch, pair.b.pending_epoch) == (1, 2)
    tag = pair.a.complete(answer, confirm, 0.0)
    assert pair.a.dirty
    pair.restart_a(pair.a.snapshot())
    assert pair.a.epoch == 2
    pair.b.check_confirm(2, tag, 0.0)
    assert pair.b.open(pair.a.seal(b"x", 0.0), 0.0) == b"x"


def test_an_outstanding_offer_does_not_survive_a_restart() -> None:
    pair = make_ready_pair()
    pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    pair.restart_a(pair.a.snapshot())
    assert not pair.a.offering
    pair.b.leave_stream()
    pair.resume()
    assert (pair.b.epoch, pair.b.pending_epoch) == (1, 0)
    assert pair.b.open(pair.a.seal(b"x", 0.0), 0.0) == b"x"


def test_a_snapshot_holds_copies() -> None:
    pair = make_ready_pair(ChannelKind.TIELINE)
    snapshot = pair.a.snapshot()
    pair.a.wipe()
    pair.restart_a(snapshot)
    pair.resume()
    assert pair.b.open(pair.a.seal(b"x", 0.0), 0.0) == b"x"
    assert snapshot.current is not None
    assert not snapshot.current.mac.wiped


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("max_skip", [256, 4096], [0, 4097]),
        ("window", [1, 1024], [0, 1025]),
        ("overlap_s", [0.0, 600.0], [-0.1, 600.1]),
    ],
)
def test_params_at_their_bounds_and_one_past(field: str, good: list[float], bad: list[float]) -> None:
    for value in good:
        ChannelParams(**{field: value})  # type: ignore[arg-type]
    for value in bad:
        with pytest.raises(ValueError, match=field):
            ChannelParams(**{field: value})  # type: ignore[arg-type]


def test_a_window_larger_than_max_skip_is_refused() -> None:
    ChannelParams(window=64, max_skip=64)
    with pytest.raises(ValueError, match="window"):
        ChannelParams(window=65, max_skip=64)
