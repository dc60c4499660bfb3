"""A channel's everyday: epochs begin, frames pass both ways, a restart resumes ahead."""

from __future__ import annotations

import pytest

from hermes_core.crypto.suites import Suite
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChannelKind
from tests.unit.hermes_core.ratchet.pairs import make_pair, make_ready_pair, relied_on_after, reserved_after


@pytest.mark.parametrize("kind", list(ChannelKind))
@pytest.mark.parametrize("suite", list(Suite))
def test_frames_pass_both_ways(kind: ChannelKind, suite: Suite) -> None:
    pair = make_ready_pair(kind, suites=(suite,))
    for index in range(600):
        text = b"message %d" % index
        assert pair.b.open(pair.a.seal(text, 0.0, aad_suffix=b"seq"), 0.0, aad_suffix=b"seq") == text
        assert pair.a.open(pair.b.seal(text, 0.0), 0.0) == text
    assert pair.a.send_next == pair.b.recv_next == 600
    assert pair.a.send_reserved == pair.b.recv_reserved == relied_on_after(256, 600)


def test_nothing_is_sealed_before_the_first_epoch() -> None:
    pair = make_pair()
    answer, confirm = pair.b.answer_offer(pair.a.start_offer(0.0), 0.0)
    for channel in (pair.a, pair.b):
        with pytest.raises(ProtocolError) as raised:
            channel.seal(b"", 0.0)
        assert raised.value.code is ErrorCode.CHAT_NOT_READY
    tag = pair.a.complete(answer, confirm, 0.0)
    frame = pair.a.seal(b"early", 0.0)
    with pytest.raises(ProtocolError) as raised:
        pair.b.open(frame, 0.0)
    assert raised.value.code is ErrorCode.CHAT_NOT_READY
    pair.b.check_confirm(1, tag, 0.0)
    assert pair.b.open(frame, 0.0) == b"early"


def test_a_restart_resumes_at_the_reserved_position() -> None:
    pair = make_ready_pair()
    for _ in range(10):
        pair.b.open(pair.a.seal(b"x", 0.0), 0.0)
    pair.restart_a(pair.a.snapshot())
    assert pair.a.send_next == reserved_after(256, 10)
    pair.resume()
    assert pair.b.recv_next == reserved_after(256, 10)
    assert pair.b.open(pair.a.seal(b"after", 0.0), 0.0) == b"after"
    assert pair.a.open(pair.b.seal(b"back", 0.0), 0.0) == b"back"


def test_a_rekey_moves_both_to_the_next_epoch() -> None:
    pair = make_ready_pair()
    pair.b.open(pair.a.seal(b"x", 0.0), 0.0)
    pair.rekey()
    assert pair.a.epoch == pair.b.epoch == 2
    assert pair.b.open(pair.a.seal(b"new", 0.0), 0.0) == b"new"
