"""The disk is always ahead of the wire: no position is used twice after any restart, and a stolen disk opens nothing sent."""

from __future__ import annotations

import random

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, ChannelKind
from hermes_core.ratchet.channel import ChannelParams
from hermes_core.ratchet.state import ChannelSnapshot
from tests.unit.hermes_core.ratchet.pairs import ALICE, BOB, make_ready_pair, reservations, reserved_after, restore


@pytest.mark.parametrize("window", [1, 2, 256, 1024])
def test_the_snapshot_is_ahead_of_every_frame(window: int) -> None:
    pair = make_ready_pair(window=window, max_skip=4096)
    pair.a.snapshot()
    pair.b.snapshot()
    made = dict(reservations(window, 2000))
    for index in range(2000):
        pair.b.open(pair.a.seal(b"x", 0.0), 0.0)
        for end in (pair.a, pair.b):
            needed = index in made and (window == 1 or not index)
            assert (end.dirty, end.early) == (needed, index in made and not needed)
            assert end.take_reliance() is (window > 1 and index in made.values())
            assert not end.take_reliance()
            snapshot = end.snapshot().current
            assert snapshot is not None
            chain = snapshot.send if end is pair.a else snapshot.recv
            assert chain.reserved == reserved_after(window, index + 1)
            assert index < chain.reserved <= index + window + window // 2
            assert (end.dirty, end.early) == (False, False)


def test_what_is_reserved_early_and_not_stored_is_needed_when_it_is_reached() -> None:
    pair = make_ready_pair(window=16)
    pair.a.snapshot()
    for index in range(16):
        pair.a.seal(b"x", 0.0)
        assert pair.a.early is (index >= 8)
        assert pair.a.dirty is (index <= 4)
        if index == 4:
            pair.a.snapshot()
    pair.a.seal(b"x", 0.0)
    assert (pair.a.dirty, pair.a.take_reliance()) == (True, False)


@pytest.mark.parametrize(("window", "max_skip"), [(64, 64), (64, 80), (256, 256), (2, 2), (3, 3)])
def test_no_reservation_is_so_far_ahead_that_the_peer_could_not_follow(window: int, max_skip: int) -> None:
    pair = make_ready_pair(window=window, max_skip=max_skip)
    commits = 0
    for index in range(1000):
        pair.b.open(pair.a.seal(b"x", 0.0), 0.0)
        commits += pair.a.dirty or pair.a.early
        snapshot = pair.a.snapshot().current
        assert snapshot is not None
        assert index < snapshot.send.reserved <= index + max_skip
    assert commits <= 2 * 1000 / window + 5
    pair.restart_a(pair.a.snapshot())
    pair.resume()


def test_the_last_positions_of_an_epoch_are_not_reserved_early() -> None:
    pair = make_ready_pair(window=16)
    epoch = pair.a.epochs.require_current()
    epoch.send.next = epoch.send.reserved = epoch.send.relied_on = epoch.send.mark = MAX_POSITION - 20
    for _ in range(16):
        pair.a.seal(b"x", 0.0)
        assert not pair.a.early
    with pytest.raises(ProtocolError) as raised:
        pair.a.seal(b"x", 0.0)
    assert raised.value.code is ErrorCode.REKEY_REQUIRED


def test_a_resume_into_what_is_reserved_early_needs_it() -> None:
    """The peer has passed over positions up to there: what is sent next uses them."""
    pair = make_ready_pair(window=16, max_skip=1024)
    for _ in range(10):
        pair.b.open(pair.a.seal(b"x", 0.0), 0.0)
    pair.a.snapshot()
    pair.restart_b(pair.b.snapshot())  # it goes on at 32, which it reserved early
    assert (pair.a.send_reserved, pair.b.recv_next) == (16, 32)
    pair.resume()
    assert pair.a.dirty
    assert (pair.a.send_next, pair.a.send_reserved) == (32, 32)


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


@pytest.mark.parametrize("window", [2, 7, 16])
def test_no_position_is_used_twice_when_early_commits_are_slow(window: int) -> None:
    """What was reserved early is on its way to the disk until something needs it, and may be lost at any kill until then."""
    chosen = random.randrange(2**32)
    print("seed", chosen)
    rng = random.Random(chosen)
    pair = make_ready_pair(window=window, max_skip=1024)
    durable, under_way = pair.a.snapshot(), None
    sent: set[bytes] = set()
    relied = 0
    for index in range(1500):
        frame = pair.a.seal(b"%d" % index, 0.0)
        relies = pair.a.take_reliance()
        relied += relies
        if rng.random() < 0.01 + 0.3 * (relies or pair.a.dirty):  # killed before the frame left
            durable = under_way if under_way is not None and rng.random() < 0.5 else durable
            under_way = None
            pair.restart_a(durable)
            pair.resume()
            continue
        if under_way is not None and (relies or pair.a.dirty or rng.random() < 0.05):
            durable, under_way = under_way, None
        if pair.a.dirty:
            durable = pair.a.snapshot()
        elif pair.a.early and under_way is None:
            under_way = pair.a.snapshot()
        assert frame[:31] not in sent
        sent.add(frame[:31])
        pair.b.open(frame, 0.0)
    assert relied > 5


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
