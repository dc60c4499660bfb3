"""The two channels of a chat, end to end and leg: offered, answered and confirmed together, both or none."""

from __future__ import annotations

from typing import Self

from hermes_core.crypto.suites import Suite
from hermes_core.endpoint.context import ChatContext, HomeStream
from hermes_core.errors import ProtocolError
from hermes_core.ids import AppId, ChannelKind, ChatId, app_party
from hermes_core.keystore.app_record import AppChatRecord
from hermes_core.protocol.messages import Answer, Confirm, Offer
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.params import ChannelParams
from hermes_core.ratchet.prepared import PreparedEpoch, VerifiedOffer
from hermes_core.ratchet.replay import refuse_old_first
from hermes_core.ratchet.state import ChannelSnapshot
from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class OfferedPair:
    """Both halves of an offer that may be answered."""

    end_to_end: VerifiedOffer
    leg: VerifiedOffer


def build_leg(context: ChatContext, chat_id: ChatId, home: HomeStream, floor: Suite | None = None) -> Channel:
    """A leg to the node of this stream, without an epoch; it begins with no suite below `floor`."""
    return Channel(
        kind=ChannelKind.LEG,
        chat_id=chat_id,
        identity=context.identity,
        local=context.party,
        peer=home.party,
        peer_public_key=home.public_key,
        params=context.params.leg,
        random=context.random,
        kem=context.kem,
        floor=floor,
    )


class ChannelPair:
    """Both channels, and the messages that carry a statement or a tag of each."""

    __slots__ = ("_ahead_s", "_context", "_peer", "chat_id", "end_to_end", "leg")

    def __init__(
        self, context: ChatContext, chat_id: ChatId, peer: AppId, ahead_s: float, end_to_end: Channel, leg: Channel
    ) -> None:
        """`ahead_s`: how far Unix time is ahead of the time that the machine is given."""
        self._context = context
        self.chat_id = chat_id
        self._peer = peer
        self._ahead_s = ahead_s
        self.end_to_end = end_to_end
        self.leg = leg

    @classmethod
    def begin(cls, context: ChatContext, chat_id: ChatId, peer: AppId, home: HomeStream) -> Self:
        """Those of a new chat, at home on this stream's node."""
        end_to_end = Channel(
            kind=ChannelKind.END_TO_END,
            chat_id=chat_id,
            identity=context.identity,
            local=context.party,
            peer=app_party(peer),
            peer_public_key=None,
            params=context.params.end_to_end,
            random=context.random,
            kem=context.kem,
            reserves=not context.durable,
        )
        return cls(context, chat_id, peer, home.ahead_s, end_to_end, build_leg(context, chat_id, home))

    @classmethod
    def restore(cls, context: ChatContext, record: AppChatRecord, ahead_s: float) -> Self:
        """Those of a chat that was kept; secrets are copied."""

        def take(snapshot: ChannelSnapshot, params: ChannelParams, reserves: bool) -> Channel:
            return Channel.restore(
                snapshot,
                chat_id=record.chat_id,
                identity=context.identity,
                params=params,
                random=context.random,
                kem=context.kem,
                reserves=reserves,
            )

        end_to_end = take(record.end_to_end, context.params.end_to_end, reserves=False)
        return cls(
            context, record.chat_id, record.peer, ahead_s, end_to_end, take(record.leg, context.params.leg, reserves=True)
        )

    def use_leg(self, leg: Channel) -> Channel:
        """The chat has another leg from now on; the one that it had."""
        former, self.leg = self.leg, leg
        return former

    def offer(self, now: float) -> None:
        """Offer the next epoch of both."""
        wall_s = now + self._ahead_s
        statements = (self.end_to_end.start_offer(wall_s), self.leg.start_offer(wall_s))
        self._context.effects.send(Offer(self.chat_id, self._context.identity.public_key, self._peer, *statements))

    def wipe(self) -> None:
        """Zero the keys of both, also when one of them cannot be."""
        try:
            self.end_to_end.wipe()
        finally:
            self.leg.wipe()

    def abandon_offer(self) -> None:
        self.end_to_end.abandon_offer()
        self.leg.abandon_offer()

    def verify_first(self, offer: Offer, now: float) -> OfferedPair:
        """A first offer, checked: CLOCK_SKEW for one of another hour, since nothing else tells that it is sent again."""
        refuse_old_first(offer.end_to_end.order, now + self._ahead_s)
        return self.verify(offer)

    def verify(self, offer: Offer) -> OfferedPair:
        """Both halves of an offer, checked; raises what `Channel.verify_offer` does."""
        end_to_end = self.end_to_end.verify_offer(offer.end_to_end, peer_public_key=offer.initiator_key)
        return OfferedPair(end_to_end, self.leg.verify_offer(offer.hop))

    def answer(self, offered: OfferedPair, now: float) -> Answer:
        """Answer both halves, or none; raises what `Channel.prepare_answer` does."""
        end_to_end = self.end_to_end.prepare_answer(offered.end_to_end, now)
        try:
            leg = self.leg.prepare_answer(offered.leg, now)
        except ProtocolError:
            end_to_end.wipe()
            raise
        self.end_to_end.adopt_answer(end_to_end)
        self.leg.adopt_answer(leg)
        return Answer(self.chat_id, self._context.identity.public_key, end_to_end.answer, end_to_end.tag, leg.answer, leg.tag)

    def prepare_leg(self, answer: Answer, now: float) -> PreparedEpoch:
        """The leg's half of an answer, checked; raises what `Channel.prepare_epoch` does."""
        return self.leg.prepare_epoch(answer.hop, answer.hop_confirm, now)

    def complete(self, answer: Answer, leg: PreparedEpoch, now: float) -> Confirm:
        """Check the other half too and use both, or none: then `leg` is wiped. Raises what `Channel.prepare_epoch` does."""
        try:
            end_to_end = self.end_to_end.prepare_epoch(
                answer.end_to_end, answer.end_to_end_confirm, now, peer_public_key=answer.responder_key
            )
        except ProtocolError:
            leg.wipe()
            raise
        self.end_to_end.adopt_epoch(end_to_end, now)
        self.leg.adopt_epoch(leg, now)
        return Confirm(self.chat_id, self.end_to_end.epoch, end_to_end.tag, self.leg.epoch, leg.tag)

    def confirm(self, confirm: Confirm, now: float) -> tuple[bool, bool]:
        """Check the halves that are there, then use both: (the end-to-end epoch is a new one, the leg's is).

        KEY_MISMATCH and KEY_VERSION_MISMATCH for either, and nothing changes.
        """
        end_to_end = leg = None
        if confirm.end_to_end_epoch:
            end_to_end = self.end_to_end.verify_confirm(confirm.end_to_end_epoch, confirm.end_to_end_confirm)
        if confirm.hop_epoch:
            leg = self.leg.verify_confirm(confirm.hop_epoch, confirm.hop_confirm)
        return (
            end_to_end is not None and self.end_to_end.adopt_confirmed(end_to_end, now),
            leg is not None and self.leg.adopt_confirmed(leg, now),
        )

    def repeat_confirm(self) -> None:
        """Send our confirmations, until both receivers have shown that they have them."""
        end_to_end, leg = self.end_to_end.confirm_tag(), self.leg.confirm_tag()
        if end_to_end is not None or leg is not None:
            self._context.effects.send(Confirm(self.chat_id, *(end_to_end or (0, b"")), *(leg or (0, b""))))
