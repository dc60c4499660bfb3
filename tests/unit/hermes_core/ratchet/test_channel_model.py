"""Two ends of a channel under an adversary: losses, replays, reordering, forgeries, kills, rekeys that stop half-way.

After every step: no header on the wire twice, no text opened twice, epochs and positions only rise, a refused input changes
nothing. At the end the two sides can always talk again.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from hermes_core.crypto.suites import Suite
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import ChannelKind
from hermes_core.ratchet.channel import ChannelParams
from hermes_core.ratchet.state import ChannelSnapshot
from tests.unit.hermes_core.ratchet.pairs import ALICE, BOB, Pair, Wired, describe_state, make_ready_pair, restore

SIDES = st.integers(0, 1)
REFUSALS = {
    ErrorCode.REPLAYED_FRAME,
    ErrorCode.KEY_VERSION_MISMATCH,
    ErrorCode.CHAT_NOT_READY,
    ErrorCode.RATCHET_DESYNC,
}


class ChannelModel(RuleBasedStateMachine):
    pair: Pair
    durable: list[ChannelSnapshot]

    @initialize(
        kind=st.sampled_from(list(ChannelKind)),
        suite=st.sampled_from(list(Suite)),
        window=st.sampled_from([1, 2, 5, 16]),
    )
    def begin(self, kind: ChannelKind, suite: Suite, window: int) -> None:
        params = ChannelParams(suites=(suite,), window=window, max_skip=64)
        self.pair = make_ready_pair(kind, params)
        self.durable = [self.pair.a.snapshot(), self.pair.b.snapshot()]
        self.now = 1000.0
        self.wire: list[list[bytes]] = [[], []]  # frames on their way to each side, and a copy of all that ever were
        self.recorded: list[list[bytes]] = [[], []]
        self.headers: set[bytes] = set()
        self.opened: set[bytes] = set()
        self.count = 0
        self.epochs = [1, 1]
        self.binding = 0

    def side(self, index: int) -> Wired:
        return self.pair.a if index == 0 else self.pair.b

    def commit(self, index: int) -> None:
        if self.side(index).dirty:
            self.durable[index] = self.side(index).snapshot()

    def open(self, index: int, frame: bytes) -> None:
        channel = self.side(index)
        before = describe_state(channel)
        try:
            text = channel.open(frame, self.now)
        except ProtocolError as error:
            assert error.code in REFUSALS, error  # noqa: PT017
            assert describe_state(channel) == before
            if error.scope is ErrorScope.STREAM:
                self.reconnect()
            return
        assert text not in self.opened
        self.opened.add(text)
        self.commit(index)

    @rule(index=SIDES, kill=st.booleans())
    def send(self, index: int, kill: bool) -> None:
        self.count += 1
        frame = self.side(index).seal(b"%d" % self.count, self.now)
        if kill and self.side(index).dirty:
            self.restart(index)
            return
        self.commit(index)
        assert frame[:31] not in self.headers
        self.headers.add(frame[:31])
        self.wire[1 - index].append(frame)
        self.recorded[1 - index].append(frame)

    @precondition(lambda self: any(self.wire))
    @rule(index=SIDES, last=st.booleans(), lose=st.sampled_from([False, False, True]))
    def deliver(self, index: int, last: bool, lose: bool) -> None:
        if self.wire[index]:
            frame = self.wire[index].pop(-1 if last else 0)
            if not lose:
                self.open(index, frame)

    @rule(index=SIDES, choice=st.randoms())
    def replay(self, index: int, choice: object) -> None:
        if self.recorded[index]:
            frame = choice.choice(self.recorded[index])  # type: ignore[attr-defined]
            self.open(index, frame)

    @rule(index=SIDES, bit=st.integers(0, 8 * 60))
    def forge(self, index: int, bit: int) -> None:
        if self.wire[index]:
            forged = bytearray(self.wire[index][0])
            place = bit % (8 * len(forged))
            forged[place // 8] ^= 1 << place % 8
            channel = self.side(index)
            before = describe_state(channel)
            try:
                channel.open(bytes(forged), self.now)
            except ProtocolError:
                assert describe_state(channel) == before
            else:
                raise AssertionError("a forged frame was opened")

    @rule(seconds=st.sampled_from([0.5, 11.0, 31.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for index in (0, 1):
            due = self.side(index).next_timer()
            if due is not None and due <= self.now:
                self.side(index).handle_timer(self.now)
                after = self.side(index).next_timer()
                assert after is None or after > self.now

    @rule(index=SIDES)
    def restart(self, index: int) -> None:
        """Killed: what was not durable is lost, the stream breaks, both ends resume."""
        before = self.side(index).epoch
        restored = restore(self.durable[index], (ALICE, BOB)[index], self.side(index).params)
        assert restored.epoch <= before
        if index == 0:
            self.pair.a = restored
        else:
            self.pair.b = restored
        self.epochs[index] = restored.epoch
        self.reconnect()

    @rule()
    def reconnect(self) -> None:
        self.wire = [[], []]
        self.binding += 1
        positions = [(side.epoch, side.send_next, side.recv_next) for side in (self.pair.a, self.pair.b)]
        try:
            self.pair.resume(self.now, self.binding.to_bytes(32, "big"))
        except ProtocolError as error:
            # only what was lost can be too far behind: more frames than max_skip in a row
            assert error.code is ErrorCode.RATCHET_DESYNC  # noqa: PT017
            self.rekey(0, "none")
            return
        assert self.pair.a.epoch == self.pair.b.epoch
        assert self.pair.a.send_next == self.pair.b.recv_next
        assert self.pair.b.send_next == self.pair.a.recv_next
        for side, (epoch, send_next, recv_next) in zip((self.pair.a, self.pair.b), positions, strict=True):
            assert side.epoch > epoch or (side.send_next >= send_next and side.recv_next >= recv_next)
        self.commit(0)
        self.commit(1)

    @rule(index=SIDES, lost=st.sampled_from(["offer", "answer", "confirm", "none", "none"]))
    def rekey(self, index: int, lost: str) -> None:
        initiator, responder = self.side(index), self.side(1 - index)
        if initiator.epoch != responder.epoch:
            return
        offer = initiator.start_offer(0.0)
        if lost == "offer":
            return
        answer, confirm = responder.answer_offer(offer, self.now)
        self.commit(1 - index)
        if lost == "answer":
            return
        tag = initiator.complete(answer, confirm, self.now)
        self.commit(index)
        if lost == "confirm":
            return
        responder.check_confirm(initiator.epoch, tag, self.now)
        self.commit(1 - index)

    @precondition(lambda self: self.pair.a.epoch != self.pair.b.epoch)
    @rule()
    def repeat_confirm(self) -> None:
        for initiator, responder in ((0, 1), (1, 0)):
            repeated = self.side(initiator).confirm_tag()
            if repeated is not None and self.side(responder).pending_epoch == repeated[0]:
                self.side(responder).check_confirm(*repeated, self.now)
                self.commit(responder)

    @invariant()
    def epochs_only_rise(self) -> None:
        if hasattr(self, "pair"):
            for index in (0, 1):
                assert self.side(index).epoch >= self.epochs[index]
                self.epochs[index] = self.side(index).epoch
            assert abs(self.pair.a.epoch - self.pair.b.epoch) <= 1

    @invariant()
    def the_disk_is_ahead(self) -> None:
        if hasattr(self, "pair"):
            for index in (0, 1):
                stored = self.durable[index].current
                assert stored is not None
                if stored.epoch == self.side(index).epoch:
                    assert stored.send.reserved >= self.side(index).send_next
                    assert stored.recv.reserved >= self.side(index).recv_next

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            self.reconnect()
            for index in (0, 1):
                text = b"last %d" % index
                assert self.side(1 - index).open(self.side(index).seal(text, self.now), self.now) == text


def test_two_ends_under_an_adversary() -> None:
    run_state_machine_as_test(ChannelModel, settings=settings(max_examples=120, stateful_step_count=60))
