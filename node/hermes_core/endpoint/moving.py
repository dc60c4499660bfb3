"""An app's moves of one chat: what it signed last, the leg that is being made, the former one until that is proven."""

from __future__ import annotations

from typing import Final

from hermes_core.endpoint.channels import ChannelPair, build_leg
from hermes_core.endpoint.context import ChatContext, HomeStream
from hermes_core.endpoint.events import HomeMoved
from hermes_core.endpoint.hop import Hop, HopInput, HopState
from hermes_core.endpoint.patience import spread
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.move import SignedMove, sign_move, verify_move
from hermes_core.ids import AppId, Party
from hermes_core.keystore.app_record import KeptMoves
from hermes_core.protocol.messages import Confirm, ErrorNotice, MoveAnswer, Moved, MoveOffer
from hermes_core.ratchet.channel import Channel

TELL_MAX_S: Final = 600.0
"""Longest wait before a home hears again of a chat without a path: the other app may be away for days."""


class Moving:
    """Owns the number of the newest move, the leg on its way, and the one that was in use before.

    A leg is proven by an authentic end-to-end frame that came over it. Until then the former one is kept, should its home come
    back, and the move is signed anew on every new stream: whether the new home has our confirmation is not known.
    """

    __slots__ = (
        "_channels",
        "_context",
        "_former",
        "_hop",
        "_leg",
        "_newest",
        "_open_since",
        "_pause_s",
        "_peer",
        "_since",
        "_tell_after_s",
        "again_at",
        "number",
        "tell_at",
        "unproven",
    )

    def __init__(self, context: ChatContext, peer: AppId, channels: ChannelPair, hop: Hop) -> None:
        self._context = context
        self._peer = peer
        self._channels = channels
        self._hop = hop
        self._leg: Channel | None = None
        self._since = 0.0
        self._former: Channel | None = None
        self._newest: SignedMove | None = None
        self.number = 0
        self.unproven = False
        self.again_at: float | None = None
        """When a move that was refused for now is made again."""
        self._pause_s = 0.0
        self._open_since: float | None = None
        self.tell_at: float | None = None
        """When the home hears the newest move again: there has been no path for too long."""
        self._tell_after_s = 0.0

    def describe(self) -> KeptMoves:
        """What is kept of it: neither a leg on its way nor a former one, whose keys a start would not know the state of."""
        return KeptMoves(self.number, self.unproven, self._newest)

    def restore(self, kept: KeptMoves) -> None:
        self.number, self.unproven, self._newest = kept.number, kept.unproven, kept.newest

    def asks(self, party: Party) -> bool:
        """Whether this node was sent a move, and has not answered."""
        return self._leg is not None and self._leg.peer == party

    def begin(self, home: HomeStream, now: float) -> None:
        """Sign the next move, to the node of this stream: MoveAnswer follows. What was under way is void."""
        self.abandon()
        self.again_at = None
        context, chat_id = self._context, self._channels.chat_id
        self._leg = build_leg(context, chat_id, home, self._channels.leg.least_suite)
        offer = self._leg.start_offer(now + home.ahead_s)
        self.number += 1
        self._since = now
        self._newest = sign_move(context.identity, chat_id, self._peer, home.party, self.number, offer)
        self._hop.move(home)
        context.effects.send(MoveOffer(chat_id, self._newest, offer))

    def complete(self, answer: MoveAnswer, now: float) -> None:
        """The new home answers: its leg is the chat's from now on. Raises what `Channel.prepare_epoch` does."""
        leg = self._leg
        if leg is None or answer.number != self.number:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "no move waits for this answer")
        epoch = leg.prepare_epoch(answer.hop, answer.hop_confirm, now)
        leg.adopt_epoch(epoch, now)
        self._leg = None
        replaced = self._channels.use_leg(leg)
        if self.unproven:
            replaced.wipe()
        else:
            self._former = replaced
        self.unproven = True
        self._hop.use(leg)
        self._context.effects.send(Confirm(answer.chat_id, 0, b"", leg.epoch, epoch.tag))
        self._hop.apply(HopInput.RENEW)
        self._context.effects.report(HomeMoved(answer.chat_id, self.number))

    def note_path(self, state: HopState, now: float) -> None:
        """How the leg stands after the inputs that came together."""
        self._open_since = (self._open_since or now) if state is HopState.OPEN and self.unproven else None
        if state is not HopState.READY or self._newest is None:
            self.tell_at = None
        elif self.tell_at is None:
            self._tell_after_s = max(self._context.params.home_patience_s, self._context.params.resume_retry_s)
            self.tell_at = now + spread(self._tell_after_s, self._context.random)

    def tell_again(self, now: float) -> None:
        """It may be the other app's home that was lost: ours looks for it anew. Twice as long after each time."""
        self._tell_after_s = min(2 * self._tell_after_s, TELL_MAX_S)
        self.tell_at = now + self._tell_after_s
        self.tell()

    def prove(self) -> None:
        """Something authentic of the other app came over the leg: the former one is of no use any more."""
        self.unproven = False
        self._pause_s = 0.0
        if self._former is not None:
            self._former.wipe()
            self._former = None

    @property
    def former(self) -> Channel | None:
        """The leg that is kept until the newer one is proven."""
        return self._former

    def return_to(self, party: Party) -> bool:
        """Take the former leg up again, if this is its home: the newer one was never proven."""
        former = self._former
        if former is None or former.peer != party:
            return False
        self._channels.use_leg(former).wipe()
        self._hop.use(former)
        self._former = None
        self.unproven = False
        return True

    def note(self, moved: Moved) -> bool:
        """Word of a move of ours: True when its number is not below our newest. AUTH_FAILED when we never signed it."""
        verify_move(moved.chat_id, moved.move, self._context.app_id, self._peer)
        if moved.move.number < self.number:
            return False
        self.number = moved.move.number
        return True

    def refuse(self, notice: ErrorNotice, now: float) -> None:
        """The node cannot take the chat in now."""
        self.abandon()
        self.wait(now, notice.retry_after_ms / 1000)

    def wait(self, now: float, at_least_s: float = 0.0) -> None:
        """What comes of moving at once was seen: the next one is made after a while, twice as long each time."""
        params = self._context.params
        self._pause_s = min(max(2 * self._pause_s, params.rekey_retry_s), params.retransmit_max_s)
        self.again_at = now + max(self._pause_s, at_least_s)

    def tell(self) -> None:
        """A former home still names the chat: it hears where that is."""
        if self._newest is not None:
            self._context.effects.send(Moved(self._channels.chat_id, self._newest))

    def leave_stream(self) -> None:
        """Whatever was to be said on it comes to nothing."""
        self.abandon()
        self.again_at = None

    def abandon(self) -> None:
        """The leg on its way comes to nothing: the stream is gone, or another move is made."""
        if self._leg is not None:
            self._leg.wipe()
            self._leg = None

    def wipe(self) -> None:
        self.abandon()
        self.prove()

    @property
    def due(self) -> float | None:
        """When the node has had time enough to answer, and the other app to be heard over a path that is up."""
        since = self._since if self._leg is not None else self._open_since
        return None if since is None else since + self._context.params.handshake_timeout_s
