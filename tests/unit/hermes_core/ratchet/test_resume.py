"""Resume: every row of the protocol page's table, both ways; nothing changes on an error; a resume never lowers a position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_EPOCH, MAX_POSITION, ChannelKind, Role
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.resume import ResumeContext, compute_claim_tag
from tests.unit.hermes_core.ratchet.pairs import BINDING, CHAT, Pair, describe_state, make_pair, make_ready_pair, reserved_after


def refuse(channel: Channel, code: ErrorCode, claims: tuple[EpochClaim, ...], binding: bytes = BINDING) -> ProtocolError:
    before = describe_state(channel)
    with pytest.raises(ProtocolError) as raised:
        channel.resume(claims, binding, 0.0)
    assert raised.value.code is code
    assert describe_state(channel) == before
    return raised.value


def forge_claim(pair: Pair, **changes: object) -> tuple[EpochClaim, ...]:
    """A claim of `a` with other positions, tagged with the right key: what a peer in another state would say."""
    epoch = pair.a.epochs.current
    assert epoch is not None
    (claim,) = pair.a.claims(BINDING)
    claim = replace(claim, **changes)  # type: ignore[arg-type]
    context = ResumeContext(pair.a.kind, CHAT, BINDING)
    return (replace(claim, tag=compute_claim_tag(context, epoch.mac, epoch.role, claim)),)


def exchange(pair: Pair, count: int, *, lose: bool = False) -> None:
    for _ in range(count):
        frame = pair.a.seal(b"x", 0.0)
        if not lose:
            pair.b.open(frame, 0.0)


@pytest.mark.parametrize("kind", [ChannelKind.LEG, ChannelKind.TIELINE])
def test_equal_states_stay_where_they_are(kind: ChannelKind) -> None:
    pair = make_ready_pair(kind)
    exchange(pair, 5)
    before = describe_state(pair.a), describe_state(pair.b)
    pair.resume()
    assert (describe_state(pair.a), describe_state(pair.b)) == before


def test_lost_frames_are_skipped() -> None:
    pair = make_ready_pair()
    exchange(pair, 3, lose=True)
    pair.resume()
    assert pair.b.recv_next == 3
    exchange(pair, 1)


@pytest.mark.parametrize("restart", ["a", "b", "both"])
def test_a_restarted_side_is_met_where_it_resumes(restart: str) -> None:
    pair = make_ready_pair()
    exchange(pair, 5)
    pair.a.open(pair.b.seal(b"y", 0.0), 0.0)
    if restart in ("a", "both"):
        pair.restart_a(pair.a.snapshot())
    if restart in ("b", "both"):
        pair.restart_b(pair.b.snapshot())
    pair.resume()
    assert pair.a.send_next == pair.b.recv_next == reserved_after(256, 5)
    assert pair.b.send_next == pair.a.recv_next == reserved_after(256, 1)
    exchange(pair, 300)
    assert pair.a.open(pair.b.seal(b"y", 0.0), 0.0) == b"y"


def test_a_resume_never_lowers_a_position() -> None:
    pair = make_ready_pair()
    stale = pair.a.claims(BINDING)
    exchange(pair, 300)
    pair.restart_b(pair.b.snapshot())
    before = pair.b.recv_next, pair.b.send_next
    assert before == (reserved_after(256, 300), 0)
    pair.b.resume(forge_claim(pair), BINDING, 0.0)
    assert (pair.b.recv_next, pair.b.send_next) == before
    refuse(pair.b, ErrorCode.ROLLBACK_DETECTED, stale)


def test_a_resume_is_repeatable() -> None:
    pair = make_ready_pair()
    exchange(pair, 3, lose=True)
    pair.resume()
    before = describe_state(pair.a), describe_state(pair.b)
    for _ in range(3):
        pair.resume()
    assert (describe_state(pair.a), describe_state(pair.b)) == before


@pytest.mark.parametrize("same_stream", [True, False])
def test_claims_drop_a_pending_epoch_unless_it_was_answered_for_on_their_stream(same_stream: bool) -> None:
    """The peer made them before it had the answer, and uses the epoch as soon as it has it."""
    pair = make_ready_pair()
    stale = pair.a.claims(BINDING)
    answer, tag = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    if not same_stream:
        pair.b.leave_stream()
    pair.b.resume(stale, BINDING, 0.0)
    assert pair.b.pending_epoch == (2 if same_stream else 0)
    confirm = pair.a.complete(answer, tag, 0.0)
    if same_stream:
        assert pair.b.check_confirm(2, confirm, 0.0)
        assert pair.b.epoch == pair.a.epoch == 2


def test_no_epoch_in_common() -> None:
    pair = make_ready_pair()
    stale = pair.a.claims(BINDING)
    pair.rekey()
    refuse(pair.b, ErrorCode.RATCHET_DESYNC, stale)
    refuse(pair.b, ErrorCode.RATCHET_DESYNC, ())
    refuse(make_pair().a, ErrorCode.RATCHET_DESYNC, stale)


def test_another_transcript() -> None:
    pair, other = make_ready_pair(), make_ready_pair()
    refuse(pair.b, ErrorCode.RATCHET_DESYNC, other.a.claims(BINDING))


def test_a_wrong_tag() -> None:
    pair = make_ready_pair()
    exchange(pair, 2, lose=True)
    (claim,) = pair.a.claims(BINDING)
    wrong = [
        replace(claim, tag=claim.tag[:-1] + bytes([claim.tag[-1] ^ 1])),
        replace(claim, tag=b""),
        replace(claim, send_next=claim.send_next + 1),
        replace(claim, recv_next=1),
        replace(claim, recv_proven=1),
    ]
    for forged in wrong:
        refuse(pair.b, ErrorCode.AUTH_FAILED, (forged,))
    refuse(pair.b, ErrorCode.AUTH_FAILED, (claim,), b"\x08" * 32)
    refuse(pair.a, ErrorCode.AUTH_FAILED, (claim,))  # reflected


def test_claims_are_bound_to_kind_and_chat() -> None:
    pair = make_ready_pair()
    epoch = pair.a.epochs.current
    assert epoch is not None
    (claim,) = pair.a.claims(BINDING)
    good = ResumeContext(ChannelKind.LEG, CHAT, BINDING)
    assert compute_claim_tag(good, epoch.mac, Role.INITIATOR, claim) == claim.tag
    for other in (replace(good, kind=ChannelKind.TIELINE), replace(good, chat_id=bytes(16))):  # type: ignore[arg-type]
        tag = compute_claim_tag(other, epoch.mac, Role.INITIATOR, claim)
        refuse(pair.b, ErrorCode.AUTH_FAILED, (replace(claim, tag=tag),))


@pytest.mark.parametrize("field", ["send_next", "recv_next"])
@pytest.mark.parametrize("max_skip", [256, 1024])
def test_a_fast_forward_at_the_bound_and_one_past_it(field: str, max_skip: int) -> None:
    pair = make_ready_pair(max_skip=max_skip)
    refuse(pair.b, ErrorCode.RATCHET_DESYNC, forge_claim(pair, **{field: max_skip + 1}))
    refuse(pair.b, ErrorCode.RATCHET_DESYNC, forge_claim(pair, **{field: MAX_POSITION}))
    pair.b.resume(forge_claim(pair, **{field: max_skip}), BINDING, 0.0)
    moved = pair.b.recv_next if field == "send_next" else pair.b.send_next
    assert moved == max_skip
    assert pair.b.dirty


def test_our_own_store_was_rolled_back() -> None:
    pair = make_ready_pair()
    old = pair.a.snapshot()
    exchange(pair, 1)
    pair.restart_a(old)
    from_a, from_b = pair.a.claims(BINDING), pair.b.claims(BINDING)
    error = refuse(pair.a, ErrorCode.ROLLBACK_DETECTED, from_b)
    assert "this store was rolled back" in error.detail
    error = refuse(pair.b, ErrorCode.ROLLBACK_DETECTED, from_a)
    assert "its store was rolled back" in error.detail


def test_the_receivers_store_was_rolled_back() -> None:
    """Its `recv_next` is lower than what the sender uses next: it skips there, and opens nothing twice."""
    pair = make_ready_pair()
    old = pair.b.snapshot()
    frames = [pair.a.seal(b"x", 0.0) for _ in range(3)]
    for frame in frames:
        pair.b.open(frame, 0.0)
    pair.a.open(pair.b.seal(b"y", 0.0), 0.0)
    pair.restart_b(old)
    from_a, from_b = pair.a.claims(BINDING), pair.b.claims(BINDING)
    error = refuse(pair.b, ErrorCode.ROLLBACK_DETECTED, from_a)
    assert "this store was rolled back" in error.detail
    error = refuse(pair.a, ErrorCode.ROLLBACK_DETECTED, from_b)
    assert "its store was rolled back" in error.detail


@pytest.mark.parametrize(("proven", "refused"), [(2, False), (3, True)])
def test_rollback_at_the_bound(proven: int, refused: bool) -> None:
    pair = make_ready_pair()
    for _ in range(2):
        pair.b.seal(b"x", 0.0)
    claims = forge_claim(pair, recv_proven=proven, recv_next=proven)
    if refused:
        refuse(pair.b, ErrorCode.ROLLBACK_DETECTED, claims)
    else:
        pair.b.resume(claims, BINDING, 0.0)


def test_a_pending_epoch_is_confirmed_by_a_resume_in_it() -> None:
    pair = make_ready_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    pair.a.complete(answer, confirm, 0.0)  # the confirmation is lost
    pair.resume()
    assert (pair.b.epoch, pair.b.pending_epoch) == (2, 0)
    exchange(pair, 1)


@pytest.mark.parametrize("turn", [1, -1])
def test_the_highest_epoch_both_hold_is_taken(turn: int) -> None:
    pair = make_ready_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    claims = pair.a.claims(BINDING)
    pair.a.complete(answer, confirm, 0.0)
    pair.b.resume((claims + pair.a.claims(BINDING))[::turn], BINDING, 0.0)
    assert (pair.b.epoch, pair.b.pending_epoch) == (2, 0)


def test_a_higher_epoch_that_only_one_holds_is_dropped() -> None:
    pair = make_ready_pair()
    pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)  # the answer is lost
    assert len(pair.b.claims(BINDING)) == 2
    pair.a.leave_stream()
    pair.b.leave_stream()
    pair.resume()
    assert (pair.b.epoch, pair.b.pending_epoch) == (1, 0)
    exchange(pair, 1)


def test_different_pending_epochs_fall_back_to_the_one_in_use() -> None:
    pair = make_ready_pair()
    pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    pair.a.answer_offer(pair.b.start_offer(0.0), 0.0)
    pair.a.leave_stream()
    pair.b.leave_stream()
    pair.resume()
    assert (pair.a.epoch, pair.b.epoch, pair.a.pending_epoch, pair.b.pending_epoch) == (1, 1, 0, 0)
    exchange(pair, 1)


def test_the_overlap_ends_with_a_resume() -> None:
    pair = make_ready_pair()
    late = pair.a.seal(b"late", 0.0)
    pair.rekey()
    pair.resume()
    with pytest.raises(ProtocolError) as raised:
        pair.b.open(late, 0.0)
    assert raised.value.code is ErrorCode.KEY_VERSION_MISMATCH


def test_the_number_of_claims_at_the_bound_and_one_past_it() -> None:
    pair = make_ready_pair()
    pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    (claim,) = pair.a.claims(BINDING)
    refuse(pair.b, ErrorCode.INVALID_FRAME, (claim,) * 3)
    pair.b.resume((claim, claim), BINDING, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda claim: replace(claim, epoch=0),
        lambda claim: replace(claim, epoch=MAX_EPOCH + 1),
        lambda claim: replace(claim, send_next=MAX_POSITION + 1),
        lambda claim: replace(claim, recv_next=-1),
        lambda claim: replace(claim, recv_proven=2**64),
    ],
)
def test_claims_out_of_bounds(change: Callable[[EpochClaim], EpochClaim]) -> None:
    pair = make_ready_pair()
    (claim,) = pair.a.claims(BINDING)
    refuse(pair.b, ErrorCode.INVALID_FRAME, (change(claim),))


def test_a_resume_writes_only_when_something_moved() -> None:
    pair = make_ready_pair()
    exchange(pair, 1)
    pair.a.snapshot()
    pair.b.snapshot()
    pair.resume()
    assert (pair.a.dirty, pair.b.dirty) == (False, False)
    pair.restart_a(pair.a.snapshot())
    pair.resume()
    assert (pair.a.dirty, pair.b.dirty) == (False, False), "256 is reserved already"
