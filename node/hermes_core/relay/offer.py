"""Offers of a chat: the one under way, what it waits for, and how often the chat may be rekeyed."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import derive_app_id
from hermes_core.protocol.messages import Answer, Offer
from hermes_core.relay.admission import charge
from hermes_core.relay.context import ChatContext
from hermes_core.relay.hops import Hops
from hermes_core.relay.throttle import TokenBucket


@dataclass(frozen=True, slots=True)
class OfferUnderWay:
    """Came over hop `offerer`, went out over the other, not answered yet. Our own answer to its hop is kept until then."""

    offerer: int
    end_to_end_epoch: int
    started_at: float
    hop_answer: KeyStatement
    hop_confirm: bytes

    @property
    def first(self) -> bool:
        """It is to begin the chat."""
        return self.end_to_end_epoch == 1


class Offers:
    """The owner of a chat's offer under way and of its rekey throttle."""

    __slots__ = ("_context", "_hops", "_rekeys", "under_way")

    def __init__(self, context: ChatContext, hops: Hops) -> None:
        self._context = context
        self._hops = hops
        self._rekeys: TokenBucket | None = None
        self.under_way: OfferUnderWay | None = None

    def ends_at(self) -> float | None:
        """When the answer is not waited for any longer."""
        return None if self.under_way is None else self.under_way.started_at + self._context.params.handshake_timeout_s

    def begin(self, index: int, offer: Offer, now: float) -> None:
        """Answer the hop's half and pass the offer on; ProtocolError when it cannot be answered, and nothing changes.

        Of two offers that cross, the one of the app with the lower id stands, everywhere; the other's sender adopts it.
        """
        hop, onward = self._hops.pair[index], self._hops.pair[1 - index]
        waiting = self.under_way
        if waiting is not None and waiting.offerer != index and onward.app_id < hop.app_id:
            return
        hop_answer, hop_confirm = hop.channel.answer_offer(offer.hop, now)
        self.abandon(replaced_by=index)
        self.under_way = OfferUnderWay(index, offer.end_to_end.epoch, now, hop_answer, hop_confirm)
        if self.under_way.first:
            self._context.admission.count_waiting(self._hops.app_ids, 1)
        statement = onward.channel.start_offer()
        onward.confirm()
        onward.send(Offer(offer.chat_id, offer.initiator_key, offer.target, offer.end_to_end, statement))

    def admit_rekey(self, index: int, offer: Offer, now: float, *, over_any_stream: bool) -> None:
        """Who may rekey, and how often; before any cryptography. Raise what the offer is refused with."""
        context, hop, onward = self._context, self._hops.pair[index], self._hops.pair[1 - index]
        if derive_app_id(offer.initiator_key) != hop.app_id or offer.target != onward.app_id:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "the offer names other apps than the chat's")
        if not (onward.state.ready or (over_any_stream and onward.neighbour in context.links)):
            raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "the other side of the chat is away")
        if self._rekeys is None:
            self._rekeys = TokenBucket(context.params.rekey_burst, context.params.rekey_refill_s, now)
        charge(self._rekeys, now, ErrorCode.REKEY_THROTTLED)
        if hop.is_leg:  # another node has throttled its own app
            context.admission.charge_rekey(hop.app_id, now)

    def check_answer(self, index: int, answer: Answer, now: float) -> OfferUnderWay:
        """Check an answer's hop; its keys are in use then. The offer it answers; raise what the answer is refused with."""
        offer, hop = self.under_way, self._hops.pair[index]
        if offer is None or offer.offerer == index or answer.end_to_end.epoch != offer.end_to_end_epoch:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "no offer waits for this answer")
        if derive_app_id(answer.responder_key) != hop.app_id:
            raise ProtocolError(ErrorCode.INVALID_KEY, "responder_key is another app's")
        hop.channel.complete(answer.hop, answer.hop_confirm, now)
        return offer

    def give_answer(self, offer: OfferUnderWay, answer: Answer) -> None:
        """The offering side gets the far app's answer, and our own for the hop between us."""
        offerer = self._hops.pair[offer.offerer]
        offerer.note_told(up=True)  # the answer says so
        statements = (answer.end_to_end, answer.end_to_end_confirm, offer.hop_answer, offer.hop_confirm)
        offerer.send(Answer(answer.chat_id, answer.responder_key, *statements))

    def abandon(self, *, replaced_by: int | None = None) -> None:
        """Forget an offer that waits, and our half of it. `replaced_by`: the hop whose newer offer was answered already."""
        offer = self.under_way
        if offer is not None:
            self._hops.pair[1 - offer.offerer].channel.abandon_offer()
            if replaced_by != offer.offerer:
                self._hops.pair[offer.offerer].channel.drop_pending()  # the answer never left
        self.end()

    def end(self) -> None:
        """No answer is waited for any more."""
        if self.under_way is not None and self.under_way.first:
            self._context.admission.count_waiting(self._hops.app_ids, -1)
        self.under_way = None
