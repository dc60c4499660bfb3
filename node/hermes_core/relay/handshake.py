"""First handshakes and rekeys of a chat as its node relays them: offer, answer, confirmation, rejection; crossing offers.

The end-to-end statements pass through unchanged; each hop has a handshake of its own. The node checks the offering side's hop
when the offer comes, and answers it when the other app's answer has come and is good: both hops move in one step, or neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import derive_app_id
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import Answer, CloseReason, Confirm, Offer, Reject
from hermes_core.ratchet.prepared import VerifiedOffer
from hermes_core.ratchet.replay import refuse_outdated
from hermes_core.relay.admission import charge, check
from hermes_core.relay.context import ChatContext
from hermes_core.relay.events import HandshakeFailed
from hermes_core.relay.hop import Hop
from hermes_core.relay.hop_states import HopInput
from hermes_core.relay.hops import Hops
from hermes_core.relay.lifetime import Lifetime
from hermes_core.relay.rows import Row
from hermes_core.relay.standing import Standing
from hermes_core.token_bucket import TokenBucket


@dataclass(frozen=True, slots=True)
class OfferUnderWay:
    """Came over hop `offerer`, went out over the other, not answered yet; nor is the offerer's hop until then."""

    offerer: int
    end_to_end_epoch: int
    started_at: float
    hop_offer: VerifiedOffer

    @property
    def first(self) -> bool:
        """It is to begin the chat."""
        return self.end_to_end_epoch == 1


class Handshake:
    """The owner of a chat's offer under way and of its rekey throttle; what it changes beyond that belongs to its parts."""

    __slots__ = ("_context", "_hops", "_lifetime", "_rekeys", "_row", "_standing", "caller_unheard", "under_way")

    def __init__(self, context: ChatContext, row: Row, hops: Hops, standing: Standing, lifetime: Lifetime) -> None:
        self._context = context
        self._row = row
        self._hops = hops
        self._standing = standing
        self._lifetime = lifetime
        self._rekeys: TokenBucket | None = None
        self.under_way: OfferUnderWay | None = None
        self.caller_unheard = False
        """The chat was offered in this run, and its caller has confirmed nothing end to end so far: it may have no keys yet."""

    # offers

    def receive_offer(self, index: int, offer: Offer, now: float) -> None:
        """A rekey; passed on if it is admitted. ProtocolError refuses it, and nothing changes.

        A quarantined chat cannot be resumed: its offers pass over any open stream.
        """
        if self._standing.state is ChatState.PENDING:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY)
        self._admit_rekey(index, offer, now)
        self.begin(index, offer, now)
        self._context.admission.cures.leave(self._row.chat_id)  # authentic, so that its turn is used

    def _admit_rekey(self, index: int, offer: Offer, now: float) -> None:
        """Who may rekey, and how often; before any cryptography."""
        context, hop, onward = self._context, self._hops.pair[index], self._hops.pair[1 - index]
        if derive_app_id(offer.initiator_key) != hop.app_id or offer.target != onward.app_id:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "the offer names other apps than the chat's")
        over_any_stream = self._standing.state is ChatState.QUARANTINED and onward.neighbour in context.links
        if not (onward.state.ready or over_any_stream):
            raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "the other side of the chat is away")
        if self._rekeys is None:
            self._rekeys = TokenBucket(context.params.rekey_burst, context.params.rekey_refill_s, now)
        check(self._rekeys, now, ErrorCode.REKEY_THROTTLED)
        if self._standing.state is ChatState.QUARANTINED:  # nobody's wish, and all of a node's chats may need it at once
            context.admission.cures.check(hop.requester, self._row.chat_id, now)
        else:
            context.admission.charge_rekey(hop.requester, now)
        charge(self._rekeys, now, ErrorCode.REKEY_THROTTLED)

    def begin(self, index: int, offer: Offer, now: float) -> None:
        """Check the hop's half and pass the offer on; ProtocolError when it is no good, and nothing changes.

        Of two offers that cross, the one of the app with the lower id stands, everywhere; the other's sender adopts it.
        """
        hop, onward = self._hops.pair[index], self._hops.pair[1 - index]
        waiting = self.under_way
        if waiting is not None and waiting.offerer != index and onward.app_id < hop.app_id:
            return
        if waiting is not None and waiting.offerer == index:
            refuse_outdated(offer.hop.order, waiting.hop_offer.statement.order)
        hop_offer = hop.channel.verify_offer(offer.hop)
        self.abandon()
        self.under_way = OfferUnderWay(index, offer.end_to_end.epoch, now, hop_offer)
        if self.under_way.first:
            self.caller_unheard = True
            self._context.admission.offers.add(self._hops[0].requester, self._hops[1].app_id, self._row.chat_id)
        statement = onward.channel.start_offer(now)
        onward.confirm()
        onward.send(Offer(offer.chat_id, offer.initiator_key, offer.target, offer.end_to_end, statement))

    # what becomes of them

    def receive_answer(self, index: int, answer: Answer, now: float) -> None:
        """Check the hop's answer and confirm it at once; pass the end-to-end answer on with our own for the offering side."""
        hop = self._hops[index]
        try:
            offer = self._find_offer(index, answer)
            epoch = hop.channel.prepare_epoch(answer.hop, answer.hop_confirm, now)
        except ProtocolError as error:
            # An answer that is not authentic changes nothing; one that is, but leads to other keys, ends the attempt.
            hop.refuse_proof(error)
            if error.code is ErrorCode.KEY_MISMATCH:
                self.fail(error.code)
            return
        offerer = self._hops[offer.offerer]
        try:
            hop_answer = offerer.channel.prepare_answer(offer.hop_offer, now)
        except ProtocolError as error:  # that hop has moved on meanwhile: its offer leads nowhere
            epoch.wipe()
            self.fail(error.code)
            return
        hop.channel.adopt_epoch(epoch, now)
        offerer.channel.adopt_answer(hop_answer)
        self._lifetime.note_activity(now)
        self.end()
        self._standing.note_answer(index, answer.responder_key, offer.end_to_end_epoch)
        hop.apply(HopInput.ONWARD_UP)  # the answer has just come that way
        self.enter_epoch(hop, now)
        hop.confirm()
        offerer.note_told(up=True)  # the answer says so
        statements = (answer.end_to_end, answer.end_to_end_confirm, hop_answer.answer, hop_answer.tag)
        offerer.send(Answer(answer.chat_id, answer.responder_key, *statements))

    def _find_offer(self, index: int, answer: Answer) -> OfferUnderWay:
        """The offer it answers; raise what an answer to none is refused with."""
        offer = self.under_way
        if offer is None or offer.offerer == index or answer.end_to_end.epoch != offer.end_to_end_epoch:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "no offer waits for this answer")
        if derive_app_id(answer.responder_key) != self._hops[index].app_id:
            raise ProtocolError(ErrorCode.INVALID_KEY, "responder_key is another app's")
        return offer

    def receive_confirm(self, index: int, confirm: Confirm, now: float) -> None:
        """Check the hop's half, pass the end-to-end half on. Idempotent: an app repeats it until it knows that it arrived."""
        hop, onward = self._hops.pair[index], self._hops.pair[1 - index]
        if confirm.hop_epoch:
            try:
                renewed = hop.channel.check_confirm(confirm.hop_epoch, confirm.hop_confirm, now)
            except ProtocolError as error:
                hop.refuse_proof(error)
                return
            if renewed:
                self._lifetime.note_activity(now)
                self.enter_epoch(hop, now)
        if confirm.end_to_end_epoch:
            self.caller_unheard = False
        if confirm.end_to_end_epoch and (onward.state.ready or self._standing.state is ChatState.QUARANTINED):
            # Without it the apps' epochs differ, and the rekey that would cure a quarantined hop could not be made.
            hop.apply(HopInput.ONWARD_UP)  # it came from the app that way
            onward.note_told(up=onward.state.ready)
            hop_half = onward.channel.confirm_tag() or (0, b"")
            onward.send(Confirm(confirm.chat_id, confirm.end_to_end_epoch, confirm.end_to_end_confirm, *hop_half))

    def receive_reject(self, index: int, reject: Reject, _now: float) -> None:
        """The other app, or a node on the way, refuses an offer."""
        if self.under_way is not None and self.under_way.offerer != index:
            hop = self._hops[index]
            if reject.code is ErrorCode.TARGET_OFFLINE and hop.neighbour.node_id is not None:
                self._context.directory.note_absent(hop.app_id, hop.neighbour.node_id)
            self.fail(reject.code, informed=index, retry_after_ms=reject.retry_after_ms)

    def fail(self, code: ErrorCode, *, informed: int | None = None, retry_after_ms: int = 0) -> None:
        """End an offer that waits for its answer: the offering side gets a rejection; a chat that never was is gone.

        `informed` is the hop whose neighbour knows already; `retry_after_ms`: when to try again, as far as somebody said.
        """
        offer = self.under_way
        if offer is None:
            return
        offerer = self._hops[offer.offerer]
        failed = HandshakeFailed(self._row.chat_id, code, rekey=not offer.first, offered_here=offerer.is_leg)
        self._context.effects.report(failed)
        if informed != offer.offerer:
            offerer.send(Reject(self._row.chat_id, code, retry_after_ms))
        if offer.first:
            silent = {offer.offerer} if informed is None else {offer.offerer, informed}
            self._standing.end(CloseReason.ROUTE_UNAVAILABLE, silent)
        else:
            self.abandon()

    def enter_epoch(self, hop: Hop, now: float) -> None:
        """A hop uses a new epoch, made on this stream. Once both do, the chat is open (again)."""
        hop.enter_epoch()
        self._lifetime.note_keys(self._hops.keys_began_at)
        if self._hops.usable:
            self._standing.open(now, offered_here=self._hops[0].is_leg)
            self._context.admission.cures.leave(self._row.chat_id)
            if self._lifetime.note_renewal(self._hops.epochs):
                self._standing.note_change()

    def abandon(self) -> None:
        """Forget an offer that waits, and our half of it."""
        if self.under_way is not None:
            self._hops[1 - self.under_way.offerer].channel.abandon_offer()
        self.end()

    def end(self) -> None:
        """No answer is waited for any more."""
        if self.under_way is not None and self.under_way.first:
            self._context.admission.offers.remove(self._hops[0].requester, self._hops[1].app_id, self._row.chat_id)
        self.under_way = None

    # deadlines

    def ends_at(self) -> float | None:
        """When the answer is not waited for any longer."""
        return None if self.under_way is None else self.under_way.started_at + self._context.params.handshake_timeout_s

    def unconfirmed_at(self) -> float | None:
        """When a first handshake that was answered must have been confirmed."""
        waits = self._standing.state is ChatState.PENDING and self.under_way is None
        return self._lifetime.last_active_at + self._context.params.handshake_timeout_s if waits else None
