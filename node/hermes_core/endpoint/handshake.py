"""An app's handshakes: a first offer and its answer, rekeys, confirmations. Both channels move together."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hermes_core.endpoint.agreement import (
    ACTIVE,
    STEPS,
    Accepted,
    Active,
    AgreementState,
    AgreementStep,
    Offered,
    Offering,
    Paused,
    Rekeying,
    RekeyWish,
    Starting,
    Wanted,
)
from hermes_core.endpoint.channels import ChannelPair
from hermes_core.endpoint.context import ChatContext
from hermes_core.endpoint.events import ChatFailed, ChatReady, ChatRekeyed
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, derive_app_id
from hermes_core.protocol.messages import Answer, Confirm, Offer
from hermes_core.ratchet.prepared import PreparedEpoch

AWAY_PAUSE_MAX_S: Final = 20.0
"""Between two offers to an app whose side of the chat is away."""


class Handshake:
    """Owns how far the apps have come, and the offer of ours that is under way; deadlines follow from the state."""

    __slots__ = ("_channels", "_context", "_leg_renewed", "_peer", "state")

    def __init__(self, context: ChatContext, peer: AppId, channels: ChannelPair, state: AgreementState) -> None:
        self._context = context
        self._peer = peer
        self._channels = channels
        self._leg_renewed = False
        """Since somebody wanted new keys."""
        self.state: AgreementState = state

    @property
    def active(self) -> bool:
        """Keys were agreed on."""
        return type(self.state) in ACTIVE

    @property
    def answered(self) -> bool:
        """Keys were agreed on, or the other app may have done so with our answer, and use them."""
        return self.active or isinstance(self.state, Accepted)

    @property
    def offering(self) -> bool:
        """An offer of ours waits for its answer."""
        return isinstance(self.state, Starting | Offering)

    def require_active(self) -> None:
        """CHAT_NOT_READY before the first epoch."""
        if not self.active:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "the chat is not open yet: the other app has not taken it")

    def _move(self, step: AgreementStep, target: AgreementState) -> None:
        if STEPS.get((type(self.state), step)) is type(target):
            self.state = target

    # a chat that was offered

    def require_offered(self) -> Offered:
        """CHAT_NOT_READY when there is nothing to decide."""
        if not isinstance(self.state, Offered):
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "this chat does not wait for a decision")
        return self.state

    def accept(self, now: float) -> None:
        """Answer; raises what `ChannelPair.answer` does."""
        self._context.effects.send(self._channels.answer(self.require_offered().offered, now))
        self._move(AgreementStep.ACCEPT, Accepted(now))

    # our rekey

    def wish(self, wish: RekeyWish) -> None:
        """Somebody wants new keys; a rekey under way is as good."""
        if isinstance(self.state, Rekeying):
            self._leg_renewed &= wish <= self.state.wish
            self._move(AgreementStep.WISH, replace(self.state, wish=max(wish, self.state.wish)))
        else:
            self._leg_renewed = False
            self._move(AgreementStep.WISH, Wanted(wish))

    def withdraw(self) -> None:
        """Its owner waits for no rekey any more: what has not left is dropped. What a node asked for stays."""
        if isinstance(self.state, Rekeying) and self.state.wish is RekeyWish.OWNER:
            if isinstance(self.state, Offering):
                self._move(AgreementStep.WISH, replace(self.state, wish=RekeyWish.NOBODY))
            else:
                self._move(AgreementStep.DROP, Active())

    def try_offer(self, now: float) -> None:
        """The way is clear: offer a rekey that somebody wants, also before a pause is over."""
        if isinstance(self.state, Wanted | Paused):
            self._channels.repeat_confirm()  # a peer that lacks it would expect another epoch
            self._channels.offer(now)
            self._move(AgreementStep.OFFER, Offering(self.state.wish, self.state.pause_s, now))

    def interrupt(self) -> None:
        """The stream is gone, and our offer with it; the wish stays until the path is up again."""
        if isinstance(self.state, Offering):
            self._channels.abandon_offer()
            if self.state.wish is RekeyWish.NOBODY:
                self._move(AgreementStep.DROP, Active())
            else:
                self._move(AgreementStep.YIELD, Wanted(self.state.wish, self.state.pause_s))

    def repeat_later(self, now: float, at_least_s: float = 0.0, *, away: bool = False) -> None:
        """Our rekey came to nothing: offer it again after a pause, twice as long as the one before.

        `away`: nobody is there to answer, which says nothing of their load: the pause stays short, so that they are not waited
        for much longer than they are away.
        """
        if isinstance(self.state, Offering):
            self._channels.abandon_offer()
            params = self._context.params
            longest_s = min(AWAY_PAUSE_MAX_S, params.retransmit_max_s) if away else params.retransmit_max_s
            pause_s = min(max(2 * self.state.pause_s, params.rekey_retry_s), longest_s)
            self._pause(self.state.wish, pause_s, now + max(pause_s, at_least_s))

    def _pause(self, wish: RekeyWish, pause_s: float, until: float) -> None:
        """Until the offer is made again, if somebody wants that."""
        if wish is RekeyWish.NOBODY:
            self._move(AgreementStep.DROP, Active())
        else:
            self._move(AgreementStep.PAUSE, Paused(wish, pause_s, until))

    def fail(self, code: ErrorCode, detail: str, now: float, at_least_s: float = 0.0) -> None:
        """Our offer was refused or not answered. The app hears of it; a rekey that the node asked for is tried again.

        `at_least_s`: how long not to ask again.
        """
        if isinstance(self.state, Offering) and (code is ErrorCode.ROUTE_UNAVAILABLE or self.state.wish is RekeyWish.NODE):
            self.repeat_later(now, at_least_s, away=code is ErrorCode.ROUTE_UNAVAILABLE)
        elif self.offering:
            awaited = not (isinstance(self.state, Offering) and self.state.wish is RekeyWish.NOBODY)
            self._channels.abandon_offer()
            self._move(AgreementStep.DROP, Active())  # not a first offer: with that the chat ends
            if awaited:
                failed = ChatFailed(self._channels.chat_id, code, detail, round(at_least_s * 1000))
                self._context.effects.report(failed)

    def end_pause(self) -> None:
        """While the path is down, its coming up is what counts."""
        if isinstance(self.state, Paused):
            self._move(AgreementStep.RETRY, Wanted(self.state.wish, self.state.pause_s))

    # the other app's rekey

    def answer(self, offer: Offer, now: float) -> None:
        """Answer a rekey; CHAT_NOT_READY before the first epoch, and what `ChannelPair.verify` and `answer` raise."""
        context = self._context
        self.require_active()
        if derive_app_id(offer.initiator_key) != self._peer or offer.target != context.app_id:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "the offer names other apps than the chat's")
        if self.offering and context.app_id < self._peer:
            return  # the two offers cross; ours stands
        self._channels.repeat_confirm()
        if offer.end_to_end.epoch <= self._channels.end_to_end.epoch:
            # The peer lacks our confirmation, which is on its way again. Another code than that of a hop whose epochs differ.
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "this end-to-end epoch is complete already")
        answer = self._channels.answer(self._channels.verify(offer), now)
        if isinstance(self.state, Offering):  # ours is void; should the other app's come to nothing, it is made again
            self._pause(self.state.wish, self.state.pause_s, now + context.params.ready_timeout_s)
        context.effects.send(answer)

    # answers and confirmations

    def prepare_leg(self, answer: Answer, now: float) -> PreparedEpoch:
        """An answer to our offer, as far as the home node vouches for it: the leg's half, checked."""
        if not self.offering:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "no offer waits for this answer")
        if derive_app_id(answer.responder_key) != self._peer:
            raise ProtocolError(ErrorCode.INVALID_KEY, "responder_key is another app's")
        return self._channels.prepare_leg(answer, now)

    def complete(self, answer: Answer, leg: PreparedEpoch, now: float) -> None:
        """Both halves are used and confirmed; neither when the end-to-end answer is no good, which is raised."""
        self._context.effects.send(self._channels.complete(answer, leg, now))
        self._agree()

    def confirm(self, confirm: Confirm, now: float) -> tuple[bool, bool]:
        """The initiator's tags, which may come again: (the end-to-end epoch is new, the leg's is).

        What we offered meanwhile is void with a new end-to-end epoch. So is what was wanted; but where the node asked for new
        keys, and the leg has those of before, they belong to a rekey of before.
        """
        if isinstance(self.state, Offered):
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "nobody has our answer yet")
        end_to_end, leg = self._channels.confirm(confirm, now)
        self._leg_renewed |= leg
        if end_to_end:
            older = isinstance(self.state, Rekeying) and self.state.wish is RekeyWish.NODE and not self._leg_renewed
            self._channels.abandon_offer()
            self._agree()
            if older:
                self.wish(RekeyWish.NODE)
        return end_to_end, leg

    def _agree(self) -> None:
        """The end-to-end channel uses a new epoch."""
        chat_id = self._channels.chat_id
        self._context.effects.report(
            ChatRekeyed(chat_id, self._channels.end_to_end.epoch) if self.active else ChatReady(chat_id)
        )
        self._move(AgreementStep.AGREE, Active())

    # deadlines

    @property
    def offer_due(self) -> float | None:
        """When our offer has waited long enough for its answer."""
        if isinstance(self.state, Starting | Offering):
            return self.state.since + self._context.params.handshake_timeout_s
        return None

    @property
    def decision_due(self) -> float | None:
        """When the other app, which gives up no later, does not wait for our decision any more."""
        return self.state.since + self._context.params.handshake_timeout_s if isinstance(self.state, Offered) else None

    @property
    def answer_due(self) -> float | None:
        """When the answer we gave has waited long enough for its confirmation."""
        return self.state.since + self._context.params.ready_timeout_s if isinstance(self.state, Accepted) else None

    @property
    def pause_due(self) -> float | None:
        """When an offer that came to nothing is made again."""
        return self.state.until if isinstance(self.state, Paused) else None
