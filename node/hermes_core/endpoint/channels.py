"""The two channels of a chat, end to end and leg: offered, answered and confirmed together."""

from __future__ import annotations

from hermes_core.endpoint.context import ChatContext, HomeStream
from hermes_core.errors import ProtocolError
from hermes_core.ids import AppId, ChannelKind, ChatId, app_party
from hermes_core.protocol.messages import Answer, Confirm, Offer
from hermes_core.ratchet.channel import Channel


class ChannelPair:
    """Both channels, and the messages that carry a statement or a tag of each."""

    __slots__ = ("_context", "_peer", "chat_id", "end_to_end", "leg")

    def __init__(self, context: ChatContext, chat_id: ChatId, peer: AppId, home: HomeStream) -> None:
        self._context = context
        self.chat_id = chat_id
        self._peer = peer
        self.end_to_end = Channel(
            kind=ChannelKind.END_TO_END,
            chat_id=chat_id,
            identity=context.identity,
            local=context.party,
            peer=app_party(peer),
            peer_public_key=None,
            params=context.params.end_to_end,
            random=context.random,
        )
        self.leg = Channel(
            kind=ChannelKind.LEG,
            chat_id=chat_id,
            identity=context.identity,
            local=context.party,
            peer=home.party,
            peer_public_key=home.public_key,
            params=context.params.leg,
            random=context.random,
        )

    def offer(self) -> None:
        """Offer the next epoch of both."""
        statements = (self.end_to_end.start_offer(), self.leg.start_offer())
        self._context.effects.send(Offer(self.chat_id, self._context.identity.public_key, self._peer, *statements))

    def abandon_offer(self) -> None:
        self.end_to_end.abandon_offer()
        self.leg.abandon_offer()

    def answer(self, offer: Offer, now: float) -> Answer:
        """The end-to-end offer is checked first: no node can make this app move without the other app."""
        end_to_end = self.end_to_end.answer_offer(offer.end_to_end, now, peer_public_key=offer.initiator_key)
        try:
            hop = self.leg.answer_offer(offer.hop, now)
        except ProtocolError:
            self.end_to_end.drop_pending()  # the answer never leaves
            raise
        return Answer(self.chat_id, self._context.identity.public_key, *end_to_end, *hop)

    def repeat_confirm(self) -> None:
        """Send our confirmations, until both receivers have shown that they have them."""
        end_to_end, leg = self.end_to_end.confirm_tag(), self.leg.confirm_tag()
        if end_to_end is not None or leg is not None:
            self._context.effects.send(Confirm(self.chat_id, *(end_to_end or (0, b"")), *(leg or (0, b""))))
