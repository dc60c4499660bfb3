"""The leg, as the app's end of it stands: one state, and a table of what moves it.

          claim             resume, renew           path up, reached
AWAY ─────────────► CLAIMED ───────────────► READY ◄──────────────────► OPEN
                                              ▲            path down
                                        renew │
                                      NEW ────┴──── QUARANTINED

lose leads from every state to AWAY, rollback from every one that has a stream to QUARANTINED, move from every one to NEW.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from hermes_core.endpoint.context import ChatContext, HomeStream
from hermes_core.endpoint.events import ChatResumed, PathChanged
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.protocol.messages import Resume, Sealed
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.claim import EpochClaim


class HopState(Enum):
    """Where a leg stands. A stream to the home node stands in every state but AWAY."""

    NEW = auto()  # the first handshake, or a move, is about to make the leg's keys
    AWAY = auto()  # there is no stream
    CLAIMED = auto()  # our claims went out on a new stream; the node's are awaited
    READY = auto()  # frames pass between app and node; beyond it the way to the other app does not stand
    OPEN = auto()  # what is sent reaches the other app
    QUARANTINED = auto()  # a rollback was seen: nothing passes until a rekey has made new keys


class HopInput(Enum):
    """What happens to a leg."""

    CLAIM = auto()  # we send claims
    RESUME = auto()  # the node's claims fit
    RENEW = auto()  # it has keys that were made on this stream
    REACHED = auto()  # an end-to-end confirmation came or went all the way
    PATH_UP = auto()  # the node says so
    PATH_DOWN = auto()
    ROLLBACK = auto()  # one of the two stores was rolled back
    LOSE = auto()  # the stream is gone
    MOVE = auto()  # we offer a new leg to the node of this stream


HOP_TABLE: Final[dict[tuple[HopState, HopInput], HopState]] = {
    (HopState.NEW, HopInput.RENEW): HopState.READY,
    (HopState.NEW, HopInput.ROLLBACK): HopState.QUARANTINED,
    (HopState.NEW, HopInput.LOSE): HopState.AWAY,
    (HopState.AWAY, HopInput.CLAIM): HopState.CLAIMED,
    (HopState.CLAIMED, HopInput.CLAIM): HopState.CLAIMED,
    (HopState.CLAIMED, HopInput.RESUME): HopState.READY,
    (HopState.CLAIMED, HopInput.RENEW): HopState.READY,
    (HopState.CLAIMED, HopInput.ROLLBACK): HopState.QUARANTINED,
    (HopState.CLAIMED, HopInput.LOSE): HopState.AWAY,
    (HopState.READY, HopInput.RENEW): HopState.READY,
    (HopState.READY, HopInput.REACHED): HopState.OPEN,
    (HopState.READY, HopInput.PATH_UP): HopState.OPEN,
    (HopState.READY, HopInput.ROLLBACK): HopState.QUARANTINED,
    (HopState.READY, HopInput.LOSE): HopState.AWAY,
    (HopState.OPEN, HopInput.RENEW): HopState.OPEN,
    (HopState.OPEN, HopInput.REACHED): HopState.OPEN,
    (HopState.OPEN, HopInput.PATH_UP): HopState.OPEN,
    (HopState.OPEN, HopInput.PATH_DOWN): HopState.READY,
    (HopState.OPEN, HopInput.ROLLBACK): HopState.QUARANTINED,
    (HopState.OPEN, HopInput.LOSE): HopState.AWAY,
    (HopState.QUARANTINED, HopInput.RENEW): HopState.READY,
    (HopState.QUARANTINED, HopInput.ROLLBACK): HopState.QUARANTINED,
    (HopState.QUARANTINED, HopInput.LOSE): HopState.AWAY,
    **{(state, HopInput.MOVE): HopState.NEW for state in HopState},
}
"""A pair that is not here means nothing and changes nothing."""

CLAIMING: Final = frozenset({HopState.CLAIMED, HopState.QUARANTINED})
"""The node's claims say something: whether the leg can go on, or, of one that cannot, from which keys."""
USABLE: Final = frozenset({HopState.READY, HopState.OPEN})
"""Frames pass."""


class Hop:
    """Owns the state. Nothing else moves it, so the owner of the chat hears of the path whenever it comes or goes."""

    __slots__ = ("_claimed_at", "_context", "_home", "_leg", "state")

    def __init__(self, context: ChatContext, leg: Channel, home: HomeStream) -> None:
        self._context = context
        self._leg = leg
        self._home = home
        self._claimed_at = 0.0
        self.state = HopState.NEW

    @property
    def home(self) -> HomeStream:
        """The stream that it goes by, or went by last; of a chat that has had none in this start only its node."""
        return self._home

    def apply(self, happened: HopInput) -> bool:
        """Move as the table says; False when the input means nothing in this state."""
        state = HOP_TABLE.get((self.state, happened))
        if state is None:
            return False
        if happened is HopInput.LOSE:
            self._leg.leave_stream()
        was_open = self.state is HopState.OPEN
        self.state = state
        if (state is HopState.OPEN) != was_open:
            self._context.effects.report(PathChanged(self._leg.chat_id, up=not was_open))
        return True

    def move(self, home: HomeStream) -> None:
        """A leg to the node of this stream is being made; whatever passes after that passes over it."""
        self._home = home
        self.apply(HopInput.MOVE)

    def use(self, leg: Channel) -> None:
        """This is the chat's leg from now on."""
        self._leg = leg

    # claims

    def connect(self, home: HomeStream, now: float) -> None:
        """Send claims on this stream; whatever passes from here on passes over it."""
        self._home = home
        if self.apply(HopInput.CLAIM):
            self._claimed_at = now
            self._context.effects.send(Resume(self._leg.chat_id, self._leg.claims(home.binding)))

    def repeat_claims(self, now: float) -> None:
        self.connect(self._home, now)

    @property
    def claims_due(self) -> float | None:
        """When claims that nobody answered are sent again."""
        return self._claimed_at + self._context.params.resume_retry_s if self.state is HopState.CLAIMED else None

    def resume(self, claims: tuple[EpochClaim, ...], now: float) -> None:
        """The node's claims complete the resume; in quarantine they say from which keys the next rekey goes on.

        Without a resume under way they mean nothing. Raises what Channel.resume does.
        """
        if self.state in CLAIMING:
            self._leg.resume(claims, self._home.binding, now)
            if self.apply(HopInput.RESUME):
                self._context.effects.report(ChatResumed(self._leg.chat_id))

    # frames

    def send(self, payload: bytes, now: float) -> None:
        """Seal a payload for the stream that stands, and send it; CHAT_NOT_READY before the leg's first epoch."""
        self._context.effects.send(Sealed(self._leg.seal(payload, now, nonce=self._home.send_nonce)))

    def open(self, frame: bytes, now: float) -> bytes:
        """The payload of a frame of the leg; CHAT_NOT_READY when none may pass, and what Channel.open raises."""
        if self.state not in USABLE:
            self._leg.lose_step()
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "no frame may pass on the leg now")
        return self._leg.open(frame, now, nonce=self._home.receive_nonce)
