"""An offer under way: passed on over one hop, not answered yet; our own answer towards the other hop is kept until then."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.handshake.statement import KeyStatement
from hermes_core.protocol.messages import Answer, Offer
from hermes_core.relay.hop import Hop


@dataclass(frozen=True, slots=True)
class OfferUnderWay:
    """It came over hop `offerer` at `started_at` and went out over the other; `end_to_end_epoch` 1 is to begin the chat."""

    hops: tuple[Hop, Hop]
    offerer: int
    end_to_end_epoch: int
    started_at: float
    hop_answer: KeyStatement
    hop_confirm: bytes

    @classmethod
    def answer(cls, hops: tuple[Hop, Hop], offerer: int, offer: Offer, now: float) -> OfferUnderWay:
        """Answer the hop's half; ProtocolError when it cannot be, and nothing changes."""
        hop_answer, hop_confirm = hops[offerer].channel.answer_offer(offer.hop, now)
        return cls(hops, offerer, offer.end_to_end.epoch, now, hop_answer, hop_confirm)

    def pass_on(self, offer: Offer) -> None:
        onward = self.hops[1 - self.offerer]
        statement = onward.channel.start_offer()
        onward.confirm()
        onward.send(Offer(offer.chat_id, offer.initiator_key, offer.target, offer.end_to_end, statement))

    @property
    def first(self) -> bool:
        return self.end_to_end_epoch == 1

    def stands_against(self, index: int) -> bool:
        """Of two offers that cross, the one of the app with the lower id stands, everywhere."""
        return self.offerer != index and self.hops[self.offerer].app_id < self.hops[index].app_id

    def waits_for(self, index: int, answer: Answer) -> bool:
        return self.offerer != index and answer.end_to_end.epoch == self.end_to_end_epoch

    def give_answer(self, answer: Answer) -> None:
        """The other app answered: its offerer gets that, with our own answer for the hop between us."""
        statements = (answer.end_to_end, answer.end_to_end_confirm, self.hop_answer, self.hop_confirm)
        self.hops[self.offerer].send(Answer(answer.chat_id, answer.responder_key, *statements))

    def abandon(self, *, replaced_by: int | None) -> None:
        """Forget our half of it. `replaced_by` is the hop whose newer offer was answered already."""
        self.hops[1 - self.offerer].channel.abandon_offer()
        if replaced_by != self.offerer:
            self.hops[self.offerer].channel.drop_pending()  # the answer never left
