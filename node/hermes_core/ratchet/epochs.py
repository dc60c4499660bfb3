"""The epochs that a channel holds, and every change of them.

          ┌──────────── adopt (own offer completed) ───────────┐
(nothing) ┤                                                    ├─► current ──adopt of the next──► old ──► wiped
          └─ await_confirm ─► pending ── adopt (confirmed) ────┘
"""

from __future__ import annotations

from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION
from hermes_core.ratchet.chain import Chain
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.epoch import Epoch
from hermes_core.ratchet.header import parse_header
from hermes_core.ratchet.params import ChannelParams
from hermes_core.ratchet.state import EpochSnapshot

_NEVER: Final = float("inf")
FIRST_RESERVATION: Final = 16
"""Positions of the first reservation of a direction in an epoch."""

EARLY: Final = 1
"""Positions were reserved before anything needs them: a snapshot is to be stored, and nothing waits for that."""
NEEDED: Final = 2
"""Whatever is sent from now on needs the next snapshot."""
RELIED_ON: Final = 4
"""Whatever is sent from now on needs the latest snapshot that was taken for what was reserved early."""


class Epochs:
    """`current` is in use, `pending` waits for its confirmation, `old` is only read, and not beyond `old_until_s`.

    `news`, bits of EARLY, NEEDED and RELIED_ON, says what changed that a snapshot holds, and who needs it; `snapshot()` resets
    the first two, `take_reliance()` the third. Others read these, and write none.
    """

    __slots__ = ("_context", "_params", "current", "news", "old", "old_until_s", "pending")

    def __init__(self, context: ChannelContext, params: ChannelParams) -> None:
        self._context = context
        self._params = params
        self.current: Epoch | None = None
        self.pending: Epoch | None = None
        self.old: Epoch | None = None
        self.old_until_s = 0.0
        self.news = 0

    @property
    def number(self) -> int:
        """The epoch in use; 0 before the first."""
        return 0 if self.current is None else self.current.number

    # which one is meant

    def require_current(self) -> Epoch:
        """CHAT_NOT_READY before the first epoch."""
        if self.current is None:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "channel has no confirmed epoch yet")
        return self.current

    def claimable(self) -> tuple[Epoch, ...]:
        """Those in which a broken stream can be taken up again."""
        return tuple(epoch for epoch in (self.current, self.pending) if epoch is not None)

    def held(self) -> tuple[Epoch, ...]:
        """Every epoch whose keys are here."""
        return tuple(epoch for epoch in (self.current, self.pending, self.old) if epoch is not None)

    def shares(self, claims: tuple[EpochClaim, ...]) -> bool:
        """One of the claims names an epoch that is held here; transcripts tell apart epochs of one number."""
        held = {(epoch.number, epoch.suite, epoch.transcript_hash) for epoch in self.claimable()}
        return any((claim.epoch, claim.suite, claim.transcript_hash) in held for claim in claims)

    def find_keys(self, number: int) -> Epoch:
        """The epoch with this number while its keys are held; KEY_VERSION_MISMATCH afterwards."""
        return self._find(number, self.old)

    def find_reader(self, frame: bytes, now: float) -> Epoch:
        """The epoch that opens a frame; a late timer does not prolong the overlap.

        INVALID_FRAME for a frame that is not of this channel and direction, CHAT_NOT_READY for one of the pending epoch,
        KEY_VERSION_MISMATCH for one of an epoch whose keys are gone.
        """
        header = parse_header(frame)
        if header.kind is not self._context.kind or header.chat_id != self._context.chat_id:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "frame belongs to another channel")
        if self.pending is not None and self.pending.number == header.epoch:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "epoch is not confirmed yet")
        epoch = self._find(header.epoch, self.old if now < self.old_until_s else None)
        if header.direction is not epoch.role.peer:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "frame goes in the other direction")
        return epoch

    def _find(self, number: int, old: Epoch | None) -> Epoch:
        for epoch in (self.current, old):
            if epoch is not None and epoch.number == number:
                return epoch
        raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, f"no keys of epoch {number}")

    # how they follow each other

    def await_confirm(self, epoch: Epoch) -> None:
        """`epoch` was answered for; an older pending one is dropped."""
        self.drop_pending()
        self.pending = epoch
        self.news |= NEEDED

    def adopt(self, epoch: Epoch, now: float) -> None:
        """Use `epoch` from now on; what was in use stays readable until the peer's first frame, at most `overlap_s`."""
        if epoch is self.pending:
            self.pending = None
        self.drop_pending()
        self.drop_old()
        if self.current is not None:
            self.current.send.wipe()  # nothing more is sent under it
            self.old = self.current
            self.old_until_s = now + self._params.overlap_s
        self.current = epoch
        self.news |= NEEDED

    def agree(self, epoch: Epoch, now: float) -> None:
        """`epoch`, the current or the pending one, is the highest that both ends hold: whatever comes next starts from it.

        But for one that was answered for on this stream: the peer made its claims before it had that answer.
        """
        if epoch is self.pending:
            self.adopt(epoch, now)
        if self.pending is not None and not self.pending.in_step:
            self.drop_pending()
        self.drop_old()  # what its frames carried is sent again

    def resume(self, epoch: Epoch, claim: EpochClaim) -> None:
        """Go on in the epoch that was agreed on, at the positions of the peer's claim."""
        if epoch.fast_forward(claim):
            self.news |= NEEDED

    def drop_pending(self) -> None:
        """Harmless when there is none."""
        if self.pending is not None:
            self.pending.wipe()
            self.pending = None
            self.news |= NEEDED

    def drop_old(self) -> None:
        """Harmless when there is none."""
        if self.old is not None:
            self.old.wipe()
            self.old = None

    def forget(self) -> None:
        """Wipe every epoch: the next one is a first one."""
        if self.current is not None:
            self.news |= NEEDED
        self.wipe()

    # positions

    def lose_step(self) -> None:
        """A frame was refused unopened: what follows it in an epoch that is in use is no gap."""
        for epoch in (self.current, self.old):
            if epoch is not None:
                epoch.lose_step()

    def leave_stream(self) -> None:
        """The stream is gone: positions count for another one only once both ends have agreed on them there."""
        self.lose_step()
        if self.pending is not None:
            self.pending.lose_step()

    def reserve(self, chain: Chain, position: int, now: float, ahead: bool = True) -> None:
        """`position`, at or beyond the chain's mark, is about to be used: see to it that what it needs becomes durable.

        Reserved are few positions at first, since every chat pays for them when it opens, and twice as many each time, up to
        the window. When half of them are left the next are reserved, so that a commit which takes its time holds up nothing.
        Without `ahead` it is this position only, and nothing early.
        """
        if position >= chain.reserved:
            chain.reserve(position, min(self._params.window, FIRST_RESERVATION + position) if ahead else 1, now)
            self.news |= NEEDED
        elif position >= chain.relied_on:
            chain.rely_on_early()
            self.news |= NEEDED if self.news & EARLY else RELIED_ON
        if chain.mark <= position < chain.relied_on:
            self._reserve_early(chain, position, now)

    def _reserve_early(self, chain: Chain, position: int, now: float) -> None:
        """Never so far ahead that the peer could not follow after a restart."""
        reserved, params = chain.reserved, self._params
        if reserved + params.window > MAX_POSITION:
            chain.reserve_late()
            return
        followed = position + params.max_skip - reserved
        chain.reserve_early(min(params.window, FIRST_RESERVATION + reserved, followed), now)
        self.news |= EARLY

    def take_reliance(self) -> bool:
        """Whether RELIED_ON was among the news, which it is not any more."""
        relied_on = self.news & RELIED_ON
        self.news ^= relied_on
        return bool(relied_on)

    def settle(self, unsettled: int) -> None:
        """Everything opened but the last `unsettled` frames is safe: a restart opens from the first of those on.

        Positions follow one another as messages do, so frames of an epoch before it move nothing here.
        """
        if self.current is not None:
            position = self.current.recv.next - unsettled
            if position > self.current.recv.reserved:
                self.current.recv.settle(position)
                self.news |= NEEDED

    # persistence, time and end

    def snapshot(self) -> tuple[EpochSnapshot | None, EpochSnapshot | None]:
        """The current and the pending epoch; only RELIED_ON stays among the news."""
        self.news &= RELIED_ON
        return (
            None if self.current is None else self.current.snapshot(confirmed=True),
            None if self.pending is None else self.pending.snapshot(confirmed=False),
        )

    def restore(self, current: EpochSnapshot | None, pending: EpochSnapshot | None) -> None:
        """Hold what a snapshot held, at the reserved positions; nothing was held before."""
        self.current = None if current is None else Epoch.restore(self._context, current)
        self.pending = None if pending is None else Epoch.restore(self._context, pending)

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to wipe; None: nothing."""
        due = _NEVER if self.old is None else self.old_until_s
        for chain in self._chains():
            drop_at = chain.rows_drop_at_s
            if drop_at is not None and drop_at < due:
                due = drop_at
        return None if due == _NEVER else due

    def handle_timer(self, now: float) -> None:
        """Wipe what is due: the old epoch, derived keys of idle chains."""
        for chain in self._chains():
            chain.drop_idle_rows(now)
        if self.old is not None and now >= self.old_until_s:
            self.drop_old()

    def wipe(self) -> None:
        """Zero every key; nothing is held afterwards."""
        self.drop_pending()
        self.drop_old()
        if self.current is not None:
            self.current.wipe()
            self.current = None

    def _chains(self) -> list[Chain]:
        return [chain for epoch in self.held() for chain in (epoch.send, epoch.recv)]
