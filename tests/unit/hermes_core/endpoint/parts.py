"""An app's chat without a network: what it does is written down, and a peer that answers as it should is at hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_core.crypto.mlkem import ML_KEM_768
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.context import ChatContext, HomeStream
from hermes_core.endpoint.events import AppEvent
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ProtocolError
from hermes_core.ids import ChannelKind, ChatId, NodeId, Party, app_party, derive_app_id
from hermes_core.protocol.messages import Answer, ChatMessage, CloseReason, Confirm, Delete, Offer, Sealed
from hermes_core.protocol.payload import encode_ack, encode_data
from hermes_core.ratchet.channel import Channel, ChannelParams
from hermes_core.ratchet.header import build_nonce
from hermes_core.ratchet.padding import pad
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_stream_keys

HOME_KEY = Identity.from_seed(SecretBytes.take(bytearray(b"h" * 32)))
PEER_KEY = Identity.from_seed(SecretBytes.take(bytearray(b"p" * 32)))
OWN_KEY = Identity.from_seed(SecretBytes.take(bytearray(b"o" * 32)))
OWN_PARTY = app_party(derive_app_id(OWN_KEY.public_key))
HOME_KEYS = make_stream_keys(b"1" * 32, dialled=True)
HOME = HomeStream(NodeId("node-0"), HOME_KEY.public_key, *HOME_KEYS, 0.0)
OTHER_KEY = Identity.from_seed(SecretBytes.take(bytearray(b"t" * 32)))
OTHER_HOME = HomeStream(NodeId("node-1"), OTHER_KEY.public_key, *make_stream_keys(b"2" * 32, dialled=True), 0.0)
OWN_NONCE, PEER_NONCE = build_nonce(b"own    1"), build_nonce(b"peer   1")
NOW = 1000.0


@dataclass
class Notebook:
    """Effects, written down."""

    sends: list[ChatMessage] = field(default_factory=list)
    events: list[AppEvent] = field(default_factory=list)
    ended: list[tuple[ChatId, CloseReason]] = field(default_factory=list)
    hang_ups: list[ProtocolError] = field(default_factory=list)

    def send(self, message: ChatMessage) -> None:
        self.sends.append(message)

    def report(self, event: AppEvent) -> None:
        self.events.append(event)

    def hang_up(self, error: ProtocolError) -> None:
        self.hang_ups.append(error)

    def doubt_home(self) -> None:
        pass

    def end(self, chat_id: ChatId, reason: CloseReason, delete: Delete | None = None) -> None:
        del delete
        self.ended.append((chat_id, reason))


def make_context(effects: Notebook, identity: Identity = OWN_KEY, params: AppParams | None = None) -> ChatContext:
    app_id = derive_app_id(identity.public_key)
    party, random = app_party(app_id), SeededRandom(app_id)
    return ChatContext(identity, app_id, party, params or AppParams(), random, ML_KEM_768, effects, OWN_NONCE)


def make_chat(params: AppParams | None = None) -> tuple[AppChat, Notebook]:
    """A chat that has just been offered to the peer, and what it did."""
    effects = Notebook()
    peer = derive_app_id(PEER_KEY.public_key)
    return AppChat.start(make_context(effects, params=params), peer, HOME, NOW), effects


class FarEnds:
    """What the chat's channels end at: the other app's end-to-end channel, the home node's leg."""

    def __init__(self, chat_id: ChatId) -> None:
        def make(kind: ChannelKind, identity: Identity, party: Party) -> Channel:
            return Channel(
                kind=kind,
                chat_id=chat_id,
                identity=identity,
                local=party,
                peer=app_party(derive_app_id(OWN_KEY.public_key)),
                peer_public_key=OWN_KEY.public_key,
                params=ChannelParams(),
                random=SeededRandom(kind),
            )

        self.chat_id = chat_id
        self.end_to_end = make(ChannelKind.END_TO_END, PEER_KEY, app_party(derive_app_id(PEER_KEY.public_key)))
        self.leg = make(ChannelKind.LEG, HOME_KEY, HOME.party)

    def offer(self, wall_s: float = 0.0) -> Offer:
        statements = self.end_to_end.start_offer(wall_s), self.leg.start_offer(wall_s)
        return Offer(self.chat_id, PEER_KEY.public_key, derive_app_id(OWN_KEY.public_key), *statements)

    def answer(self, offer: ChatMessage) -> Answer:
        assert isinstance(offer, Offer)
        halves = (*self.end_to_end.answer_offer(offer.end_to_end, NOW), *self.leg.answer_offer(offer.hop, NOW))
        return Answer(self.chat_id, PEER_KEY.public_key, *halves)

    def complete(self, answer: ChatMessage) -> Confirm:
        assert isinstance(answer, Answer)
        tag = self.end_to_end.complete(answer.end_to_end, answer.end_to_end_confirm, NOW)
        hop_tag = self.leg.complete(answer.hop, answer.hop_confirm, NOW)
        return Confirm(self.chat_id, self.end_to_end.epoch, tag, self.leg.epoch, hop_tag)

    def take(self, confirm: ChatMessage) -> None:
        assert isinstance(confirm, Confirm)
        self.end_to_end.check_confirm(confirm.end_to_end_epoch, confirm.end_to_end_confirm, NOW)
        self.leg.check_confirm(confirm.hop_epoch, confirm.hop_confirm, NOW)

    def seal(self, seq: int, content: bytes) -> Sealed:
        return self.seal_plaintext(seq, pad(content, padding=True))

    def seal_plaintext(self, seq: int, plaintext: bytes) -> Sealed:
        frame = self.end_to_end.seal(plaintext, NOW, nonce=PEER_NONCE, aad_suffix=seq.to_bytes(8, "big"))
        return self.seal_payload(encode_data(seq, frame))

    def seal_ack(self, seq: int) -> Sealed:
        return self.seal_payload(encode_ack(seq, *self.end_to_end.ack_tag(seq)))

    def seal_payload(self, payload: bytes) -> Sealed:
        """As the home node seals."""
        return Sealed(self.leg.seal(payload, NOW, nonce=HOME.receive_nonce))


def make_open_chat(params: AppParams | None = None) -> tuple[AppChat, Notebook, FarEnds]:
    """A chat that the peer has taken; everything that went so far is crossed out of the notebook."""
    chat, effects = make_chat(params)
    far = FarEnds(chat.chat_id)
    chat.receive(far.answer(effects.sends[-1]), NOW)
    far.take(effects.sends[-1])
    assert chat.can_send
    effects.sends.clear()
    effects.events.clear()
    return chat, effects, far


def make_offered_chat() -> tuple[AppChat, Notebook, FarEnds]:
    """A chat that the peer has offered; its owner has not decided."""
    effects, far = Notebook(), FarEnds(ChatId(bytes(range(16))))
    return AppChat.receive_first(make_context(effects), far.offer(), HOME, NOW), effects, far
