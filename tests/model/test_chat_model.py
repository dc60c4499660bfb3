"""At least 100,000 random steps over many seeds, the seeds that once found something, and proof that the model notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hermes_core.clock_check import ClockJudgement
from hermes_core.crypto.aead import NONCE_BYTES
from hermes_core.endpoint.channels import ChannelPair
from hermes_core.endpoint.delivery import Incoming
from hermes_core.endpoint.transfer import Transfer
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ratchet.channel import Channel
from hermes_core.relay.effects import Effects
from hermes_core.relay.home_search import HomeSearch
from hermes_core.relay.neighbour import Neighbour
from hermes_core.relay.output import NodeOutput
from hermes_core.relay.router import NodeChats
from hermes_core.relay.rows import Row
from hermes_core.relay.tombstones import Tombstones
from hermes_core.session.keys import StreamKeys
from tests.model.ledger import ViolationError
from tests.model.parties import NodeParty
from tests.model.runner import MOVING_EVERY, run_seed
from tests.model.streams import Stream, bare

STEPS = 4000
SEEDS = range(7100, 7126)  # 26 times 4,000 steps; `python -m tests.model` takes others
# Seeds that found something when they were run; the habits of the model have changed since, so each finding also has a test of
# its own in tests/unit/hermes_core/relay.
FOUND = {
    2: "rolled back past a rekey: epochs a rekey cannot bridge must end the chat",
    3: "a first offer sent again after the end of its chat was taken for a new chat",
    16: "rolled back into a first handshake",
    1054: "a node that found a rollback on the tieline did not tell its app, and nobody rekeyed",
    1195: "rolled back past an epoch whose number is then used again, with other keys",
    2221: "as 1054, with epochs apart",
    900002: "a rekey that was to cure a rollback broke off half-way, and nobody was asked for another one",
    950366: "an end-to-end confirmation could not pass a quarantined leg, and without it no rekey could cure the leg",
}


@pytest.mark.parametrize("seed", [*SEEDS, *FOUND])
def test_promises_hold(seed: int) -> None:
    report = run_seed(seed, STEPS)
    print(report)
    assert report.steps == STEPS
    assert report.quiescences == STEPS // 400
    assert report.moves or seed % MOVING_EVERY != MOVING_EVERY - 1


def _lose_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send without having stored: positions are used again after a crash."""
    commit = NodeParty.commit
    count = 0

    def forgetful(self: NodeParty, output: object) -> None:
        nonlocal count
        count += 1
        before = dict(self.store.records)
        commit(self, output)  # type: ignore[arg-type]
        if count % 2:
            self.store.records.update({key: old for key, old in before.items() if key in self.store.records})

    monkeypatch.setattr(NodeParty, "commit", forgetful)


def _deliver_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Incoming.hold

    def careless(self: Incoming, seq: int, frame: bytes, messages: int, size: int) -> bool:
        if seq == self.delivered and seq:
            self.delivered -= 1
        return hold(self, seq, frame, messages, size)

    monkeypatch.setattr(Incoming, "hold", careless)
    open_frame = Channel.open

    def replayable(
        self: Channel, frame: bytes, now: float, *, nonce: bytes = b"", aad_suffix: bytes = b"", may_lack: int = 0
    ) -> bytes:
        if aad_suffix and self.epochs.current is not None:
            self.epochs.current.recv.next = min(self.epochs.current.recv.next, int.from_bytes(frame[23:31], "big"))
        try:
            return open_frame(self, frame, now, nonce=nonce, aad_suffix=aad_suffix, may_lack=may_lack)
        except TypeError:  # the chain is wiped that far: this sabotage cannot bring a key back
            raise ProtocolError(ErrorCode.REPLAYED_FRAME) from None

    monkeypatch.setattr(Channel, "open", replayable)


def _keep_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Channel, "wipe", lambda _: None)


def _confirm_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChannelPair, "repeat_confirm", lambda _: None)


def _forget_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tombstones, "send_all", lambda *_: None)


def _never_send_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transfer, "send_all", lambda *_: None)


def _leave_records(monkeypatch: pytest.MonkeyPatch) -> None:
    take = NodeChats.take_output

    def keeping(self: NodeChats, *, busy: bool = False) -> NodeOutput:
        output = take(self, busy=busy)
        output.deletes.clear()
        return output

    monkeypatch.setattr(NodeChats, "take_output", keeping)


def _share_nonces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream has the nonces of every other."""
    monkeypatch.setattr(Stream, "keys_of", lambda self, _name: StreamKeys(self.binding, bytes(NONCE_BYTES), bytes(NONCE_BYTES)))


def _wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say of every message that it depends on nothing that is still to be stored."""
    send = Effects.send

    def hasty(self: Effects, neighbour: Neighbour, message: object, after: int) -> None:
        send(self, neighbour, message, 0 * after)  # type: ignore[arg-type]

    monkeypatch.setattr(Effects, "send", hasty)


def _rely_on_nothing_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames go beyond what is durable: a reservation that was made early counts before it is on the disk."""
    monkeypatch.setattr(Row, "rely_on_early", lambda _: None)


def _look_at_no_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control messages are taken from whoever is in the middle."""
    monkeypatch.setattr(Stream, "take", lambda self, end: bare(self.inbox[end].popleft()))


def _believe_every_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node goes on from whatever its clock says at a start."""
    monkeypatch.setattr("hermes_core.clock_peers.judge_clock", lambda wall_s, _last_seen_s, **_others: ClockJudgement(wall_s))


def _forget_what_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start counts as much unconfirmed time as the first."""
    monkeypatch.setattr("tests.model.parties.Store.keep_time", lambda self, seen: setattr(self, "last_seen_s", seen.date_s))


def _look_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new home waits to be found."""
    monkeypatch.setattr(HomeSearch, "seek", lambda self, _now: setattr(self, "at", None))


def _ask_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without a path waits for somebody to move."""
    monkeypatch.setattr(HomeSearch, "appeal_to_app", lambda self, _now: self.appeal.end())


@pytest.mark.parametrize(
    ("sabotage", "first_seed"),  # the seed that shows it today; others do as well, only later
    [
        (_lose_commits, 3),
        (_deliver_twice, 7),
        (_keep_keys, 0),
        (_confirm_once, 17),
        (_forget_notices, 0),
        (_never_send_again, 0),
        (_leave_records, 0),
        (_share_nonces, 0),
        (_wait_for_nothing, 0),
        (_rely_on_nothing_early, 64),
        (_look_at_no_tag, 381),
        (_believe_every_clock, 38),
        (_forget_what_was_counted, 143),
        (_look_for_nobody, 6),
        (_ask_nobody, 145),
    ],
)
def test_model_notices(
    sabotage: Callable[[pytest.MonkeyPatch], None], first_seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Break one promise by hand: some seed must show it, or the model proves nothing."""
    sabotage(monkeypatch)
    for seed in range(first_seed, first_seed + 40):
        try:
            run_seed(seed, 3000)
        except ViolationError as violation:
            print(violation)
            return
    pytest.fail("forty runs did not notice")


def test_seed_repeats_every_byte() -> None:
    """The same seed gives the same keys, frames and records, so that what it found can be looked at again."""
    assert run_seed(7101, 800, tracing=True).trace == run_seed(7101, 800, tracing=True).trace
