"""One chat as its app holds it: messages of the home node, wishes of the owner and time go in, effects come out.

Its parts own their state (channels, hop, handshake, transfer, moves, end); here is what follows for one of them from another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from hermes_core.crypto.random import generate_bytes
from hermes_core.endpoint.agreement import AgreementState, Offered, RekeyWish, Starting
from hermes_core.endpoint.channels import ChannelPair
from hermes_core.endpoint.context import ChatContext, HomeStream
from hermes_core.endpoint.ending import Ending
from hermes_core.endpoint.events import ChatOffered, FrameRefused
from hermes_core.endpoint.handshake import Handshake
from hermes_core.endpoint.hop import CLAIMING, Hop, HopInput, HopState
from hermes_core.endpoint.moving import Moving
from hermes_core.endpoint.transfer import Transfer
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import CHAT_ID_BYTES, AppId, ChatId, derive_app_id
from hermes_core.protocol.messages import (
    Answer,
    ChatMessage,
    Closed,
    ClosedAck,
    CloseReason,
    Confirm,
    ErrorNotice,
    MoveAnswer,
    Moved,
    MoveWanted,
    Offer,
    PathState,
    Reject,
    Resume,
    Sealed,
)
from hermes_core.protocol.timers import Timer, fire_due, next_due
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.resume import STORES_DIFFER

HOME_WILL_NOT_DO: Final = frozenset({ErrorCode.DRAINING, ErrorCode.UNSUPPORTED})
"""A node that refuses a move with these is no home for the chat, however long it is asked."""


class AppChat:
    """`start` and `answer` make one. It changes nothing but itself; its parts are there to be looked at."""

    __slots__ = (
        "_channels",
        "_context",
        "chat_id",
        "end_to_end",
        "ending",
        "handshake",
        "hop",
        "moving",
        "peer",
        "transfer",
    )

    def __init__(
        self, context: ChatContext, peer: AppId, home: HomeStream, channels: ChannelPair, state: AgreementState
    ) -> None:
        self._context = context
        self.chat_id = channels.chat_id
        self.peer = peer
        self.end_to_end = channels.end_to_end
        self._channels = channels
        self.handshake = Handshake(context, peer, channels, state)
        self.hop = Hop(context, channels.leg, home)
        self.transfer = Transfer(context, channels, self.hop)
        self.moving = Moving(context, peer, channels, self.hop)
        self.ending = Ending(context, channels, self.handshake, self.hop, self.transfer, self.moving)

    @classmethod
    def start(cls, context: ChatContext, peer: AppId, home: HomeStream, now: float) -> AppChat:
        """Offer a chat: ChatReady follows, or ChatFailed and ChatEnded."""
        channels = ChannelPair.begin(context, ChatId(generate_bytes(CHAT_ID_BYTES, context.random)), peer, home)
        try:
            chat = cls(context, peer, home, channels, Starting(now))
            channels.offer(now)
        except BaseException:
            channels.wipe()
            raise
        return chat

    @classmethod
    def receive_first(cls, context: ChatContext, offer: Offer, home: HomeStream, now: float) -> AppChat:
        """Check an offer; it is answered when the owner accepts it."""
        peer = derive_app_id(offer.initiator_key)
        channels = ChannelPair.begin(context, offer.chat_id, peer, home)
        chat = cls(context, peer, home, channels, Offered(channels.verify_first(offer, now), now))
        context.effects.report(ChatOffered(offer.chat_id, peer))
        return chat

    @property
    def leg(self) -> Channel:
        return self._channels.leg

    @property
    def can_send(self) -> bool:
        return self.hop.state is HopState.OPEN and self.handshake.active

    @property
    def is_undecided(self) -> bool:
        """Nobody has answered its first offer: it may come to nothing within the time for that."""
        return isinstance(self.handshake.state, Starting | Offered)

    @property
    def reaches_peer(self) -> bool:
        """Messages pass, or rekeys do, which cure a leg on which none may."""
        return self.can_send or self.hop.state is HopState.QUARANTINED

    # the stream

    def connected(self, home: HomeStream, now: float) -> None:
        """A stream stands: take the leg up again if its home is there; a leg that was never proven is made anew."""
        if self.leg.peer == home.party and self.moving.unproven:
            self.move(home, now)
        elif self.leg.peer == home.party or self.moving.return_to(home.party):
            self.hop.connect(home, now)

    def move(self, home: HomeStream, now: float) -> None:
        """The chat is at home on the node of this stream from now on, once that has answered; a mere offer stays."""
        if self.handshake.answered:
            self.handshake.interrupt()
            self.moving.begin(home, now)

    def disconnected(self, now: float) -> None:
        if isinstance(self.handshake.state, Starting | Offered):
            self._fail_start(ErrorCode.ROUTE_UNAVAILABLE, "the stream to the node broke", now)
        else:
            self.handshake.interrupt()
            self.moving.leave_stream()
            self.hop.apply(HopInput.LOSE)

    # what the owner asks for

    def accept(self, now: float) -> None:
        self.handshake.accept(now)

    def reject(self, code: ErrorCode) -> None:
        self.handshake.require_offered()
        self._context.effects.send(Reject(self.chat_id, code))
        self.ending.close(CloseReason.DELETED)

    def send(self, content: bytes, now: float) -> int:
        """The message's seq; it leaves when the path is up."""
        self.handshake.require_active()
        message = self.transfer.add(content)
        if self.can_send:
            self.transfer.send(message, now)
        return message.seq

    def acknowledge(self, seq: int) -> None:
        self.transfer.acknowledge(seq)

    def rekey(self, now: float) -> None:
        self.handshake.require_active()
        self._wish_rekey(RekeyWish.OWNER, now)

    def withdraw_rekey(self) -> None:
        self.handshake.withdraw()

    def end(self) -> None:
        """The owner goes, and with it the chat."""
        if isinstance(self.handshake.state, Offered):
            self.reject(ErrorCode.TARGET_OFFLINE)
        else:
            self.delete()

    def delete(self) -> None:
        self.ending.give_up(CloseReason.DELETED)

    # messages of the home node

    def receive(self, message: ChatMessage, now: float) -> None:
        """Whatever is wrong with it changes nothing; the owner hears that it was dropped, an offering app why."""
        take = self.TAKES.get(type(message))
        try:
            if take is None:
                raise ProtocolError(ErrorCode.INVALID_FRAME, "a message for a node")  # noqa: TRY301
            take(self, message, now)
        except ProtocolError as error:
            self._refuse(error.code)
            if error.scope is ErrorScope.STREAM:
                self._context.effects.hang_up(error)
            elif isinstance(message, Offer):
                self.transfer.note_refusal(error.code, now)
                self._context.effects.send(Reject(self.chat_id, error.code, error.retry_after_ms))

    def _refuse(self, code: ErrorCode) -> None:
        self._context.effects.report(FrameRefused(self.chat_id, code))

    def _take_sealed(self, sealed: Sealed, now: float) -> None:
        was_blocked = self.transfer.claims.blocked
        heard = self.transfer.receive(self.hop.open(sealed.frame, now), now)
        if heard.authentic:
            self.moving.prove()
        if heard.differ is not None:
            self._context.effects.report(heard.differ)
            if heard.differ.ours:
                self._wish_rekey(RekeyWish.NODE, now)
        if was_blocked and not self.transfer.claims.blocked and self.can_send:
            self.transfer.send_all(now)

    def _take_answer(self, answer: Answer, now: float) -> None:
        leg = self.handshake.prepare_leg(answer, now)
        try:
            self.handshake.complete(answer, leg, now)
        except ProtocolError as error:  # what the home node vouches for, the other app does not: the attempt is over
            self._refuse(error.code)
            self.handshake.fail(error.code, "the other app's answer cannot be used", now)
            if isinstance(self.handshake.state, Starting):
                self.ending.give_up(CloseReason.RATCHET_FAILED)
        else:
            self.hop.apply(HopInput.RENEW)
            self._follow_epoch(now)

    def _take_confirm(self, confirm: Confirm, now: float) -> None:
        """Either half may come alone, and again."""
        end_to_end, leg = self.handshake.confirm(confirm, now)
        if leg:
            self.hop.apply(HopInput.RENEW)
            self.handshake.repeat_later(now)
        if confirm.end_to_end_epoch:
            if end_to_end:
                self._follow_epoch(now)
                self._try_rekey(now)
            else:
                self._hear_of_path(now)  # it was passed on, which says that the path is up, also when it is said again
            self.transfer.owe_ack()

    def _take_reject(self, reject: Reject, now: float) -> None:
        if isinstance(self.handshake.state, Starting):
            self._fail_start(reject.code, "the chat was refused", now, reject.retry_after_ms / 1000)
        else:
            if self.handshake.offering:
                self.transfer.note_refusal(reject.code, now)
            self.handshake.fail(reject.code, "the rekey was refused", now, reject.retry_after_ms / 1000)

    def _follow_epoch(self, now: float) -> None:
        """The end-to-end channel uses a new epoch; it came all the way, so the path is up if our own leg is."""
        self.hop.apply(HopInput.REACHED)
        self.transfer.note_epoch()
        if self.hop.state is HopState.QUARANTINED:  # the leg did not move: the rollback is not cured yet
            self._wish_rekey(RekeyWish.NODE, now)
        elif self.transfer.outgoing and self.can_send:
            self.transfer.send_all(now)
        self.transfer.expect_ack(now)

    def _take_resume(self, resume: Resume, now: float) -> None:
        if self.hop.state in CLAIMING and not self.leg.shares_epoch(resume.claims):
            self._begin_leg_anew(now)
            return
        try:
            self.hop.resume(resume.claims, now)
        except ProtocolError as error:
            self._refuse(error.code)
            if error.code in STORES_DIFFER:
                self._take_rollback(now)

    def _begin_leg_anew(self, now: float) -> None:
        """Home node and app share no epoch of the leg: the next rekey begins it anew, end to end it goes on."""
        self._refuse(ErrorCode.RATCHET_DESYNC)
        self.handshake.interrupt()  # an offer under way goes on from keys that the node does not have
        self.leg.restart()
        self._take_rollback(now)

    def _take_path(self, path: PathState, now: float) -> None:
        if path.up:
            self._hear_of_path(now)
        else:
            self.hop.apply(HopInput.PATH_DOWN)

    def _hear_of_path(self, now: float) -> None:
        """It is up."""
        if self.hop.apply(HopInput.PATH_UP):
            self.transfer.restart_wait()
            self.transfer.owe_ack()  # it may be another way, which the other app believes once it has heard us over it
            if self.can_send:
                self.transfer.send_all(now)
            self._try_rekey(now)

    def _take_closed(self, closed: Closed, now: float) -> None:
        """The chat is over; or its home has given it up, whatever it says, and it goes on with another."""
        end = self.ending.judge(closed)
        if end is not None:
            self.ending.close(end)
            self._context.effects.send(ClosedAck(self.chat_id, closed.reason))
            return
        self._context.effects.send(ClosedAck(self.chat_id, closed.reason))
        self._refuse(ErrorCode.ROUTE_UNAVAILABLE)
        self.moving.abandon()
        self.hop.apply(HopInput.PATH_DOWN)
        self._lose_home(now)

    def _take_move_answer(self, answer: MoveAnswer, now: float) -> None:
        self.moving.complete(answer, now)

    def _take_moved(self, moved: Moved, now: float) -> None:
        """The node holds a newer move of ours than we do, or has given the chat away: ours is the next."""
        if self.moving.note(moved) or not self._is_moving():
            self.move(self.hop.home, now)

    def _take_wanted(self, _wanted: MoveWanted, now: float) -> None:
        """The other app's home found nobody here to go on with."""
        if not self._is_moving():
            self.move(self.hop.home, now)

    def hear_stranger(self, message: PathState | MoveWanted, home: HomeStream, now: float) -> None:
        """A node that is not the chat's home names it: a former one hears where it is, one that looks for us gets it."""
        if isinstance(message, MoveWanted):
            self.move(home, now)
        else:
            self.moving.tell()

    def _is_moving(self) -> bool:
        return self.moving.asks(self.hop.home.party)

    def _move_unanswered(self, now: float) -> None:
        """No answer, or no word of the other app over a path that is said to be up: with another home it may be better."""
        self._context.effects.doubt_home()
        self.move(self.hop.home, now)

    def _move_again(self, now: float) -> None:
        self.move(self.hop.home, now)

    def _take_error(self, notice: ErrorNotice, now: float) -> None:
        self._refuse(notice.code)
        if self._is_moving():
            if notice.code is not ErrorCode.CHAT_NOT_FOUND:  # which is said of what went before
                self.moving.refuse(notice, now)
            if notice.code in HOME_WILL_NOT_DO:
                self._context.effects.doubt_home()
            return
        if isinstance(self.handshake.state, Starting):
            self._fail_start(notice.code, notice.detail, now, notice.retry_after_ms / 1000)
        elif notice.code is ErrorCode.CHAT_NOT_FOUND:
            self._lose_home(now)
        elif notice.code is ErrorCode.ROLLBACK_DETECTED:
            self._take_rollback(now)
        elif notice.code is ErrorCode.REKEY_REQUIRED:
            self._wish_rekey(RekeyWish.NODE, now)
        elif notice.code is ErrorCode.REKEY_THROTTLED:
            self.handshake.fail(notice.code, notice.detail, now, notice.retry_after_ms / 1000)

    def _lose_home(self, now: float) -> None:
        """The home has no such chat. It lost its store, or never had our confirmation: the leg is made anew."""
        if not self.handshake.answered:
            self.ending.close(CloseReason.ROUTE_UNAVAILABLE)
        elif self.moving.unproven:  # it took the chat in just now: two that contradict each other must not spin
            self.moving.wait(now)
        else:
            self.move(self.hop.home, now)

    def _take_rollback(self, now: float) -> None:
        if self.transfer.claims.awaited and not self.handshake.active:
            self.ending.give_up(
                CloseReason.STATE_LOST
            )  # our store has not even heard that the chat is open: no rekey is accepted
        elif self.hop.apply(HopInput.ROLLBACK):
            self._wish_rekey(RekeyWish.NODE, now)

    # rekeys

    def _wish_rekey(self, wish: RekeyWish, now: float) -> None:
        """Rekey as soon as the path allows; a rekey under way is as good."""
        self.handshake.wish(wish)
        self._try_rekey(now)

    def _try_rekey(self, now: float) -> None:
        """A rekey gets through when messages do, and cures a leg on which none may pass."""
        if self.reaches_peer:
            self.handshake.try_offer(now)

    # time

    def next_timer(self) -> float | None:
        return next_due(self.TIMERS, self)

    def handle_timer(self, now: float) -> None:
        fire_due(self.TIMERS, self, now, over=lambda chat: chat.ending.over)

    def settle(self, now: float) -> None:
        """After the last of the inputs that came together: acknowledge what they brought."""
        self.transfer.settle(now, can_send=self.can_send)
        self.moving.note_path(self.hop.state, now)

    def _offer_unanswered(self, now: float) -> None:
        self.handshake.fail(ErrorCode.TARGET_OFFLINE, "nobody answered", now)
        if isinstance(self.handshake.state, Starting):
            self.ending.give_up(CloseReason.ROUTE_UNAVAILABLE)

    def _undecided(self, _now: float) -> None:
        """Nobody waits for our decision any more."""
        self.ending.give_up(CloseReason.ROUTE_UNAVAILABLE)

    def _answer_unconfirmed(self, _now: float) -> None:
        self.ending.give_up(CloseReason.EXPIRED)

    def _pause_over(self, now: float) -> None:
        self.handshake.end_pause()
        self._try_rekey(now)

    def _unacknowledged(self, now: float) -> None:
        self.transfer.end_wait(now, can_send=self.can_send)

    def _ask_again(self, now: float) -> None:
        self.transfer.claims.ask(self.transfer.cursor, now)

    def _unshared(self, _now: float) -> None:
        """No rekey can bridge it either: that would have to prove the epoch before."""
        self.ending.give_up(CloseReason.STATE_LOST if self.transfer.claims.unshared else CloseReason.RATCHET_FAILED)

    # the end

    def _fail_start(self, code: ErrorCode, detail: str, now: float, at_least_s: float = 0.0) -> None:
        """A chat that never came to be; the node knows."""
        self.handshake.fail(code, detail, now, at_least_s)
        self.ending.close(CloseReason.ROUTE_UNAVAILABLE)

    TAKES: ClassVar[Mapping[type[ChatMessage], Callable[[AppChat, Any, float], None]]] = {
        Sealed: _take_sealed,
        Offer: lambda chat, offer, now: chat.handshake.answer(offer, now),
        Answer: _take_answer,
        Confirm: _take_confirm,
        Reject: _take_reject,
        Resume: _take_resume,
        PathState: _take_path,
        Closed: _take_closed,
        ErrorNotice: _take_error,
        MoveAnswer: _take_move_answer,
        Moved: _take_moved,
        MoveWanted: _take_wanted,
    }
    TIMERS: ClassVar[tuple[Timer[AppChat], ...]] = (
        Timer("offer unanswered", lambda chat: chat.handshake.offer_due, _offer_unanswered),
        Timer("offer undecided", lambda chat: chat.handshake.decision_due, _undecided),
        Timer("answer unconfirmed", lambda chat: chat.handshake.answer_due, _answer_unconfirmed),
        Timer("offer again", lambda chat: chat.handshake.pause_due, _pause_over),
        Timer("move unanswered", lambda chat: chat.moving.due, _move_unanswered),
        Timer("move again", lambda chat: chat.moving.again_at, _move_again),
        Timer("tell move", lambda chat: chat.moving.tell_at, lambda chat, now: chat.moving.tell_again(now)),
        Timer("send again", lambda chat: chat.transfer.resend_due, _unacknowledged),
        Timer("ask again", lambda chat: chat.transfer.claims.ask_due if chat.can_send else None, _ask_again),
        Timer("no common epoch", lambda chat: chat.transfer.unshared_due if chat.reaches_peer else None, _unshared),
        Timer("claim again", lambda chat: chat.hop.claims_due, lambda chat, now: chat.hop.repeat_claims(now)),
        Timer("content keys", lambda chat: chat.end_to_end.next_timer(), lambda chat, now: chat.end_to_end.handle_timer(now)),
        Timer("leg keys", lambda chat: chat.leg.next_timer(), lambda chat, now: chat.leg.handle_timer(now)),
    )
