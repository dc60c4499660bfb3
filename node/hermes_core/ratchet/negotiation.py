"""How the epochs of a channel begin: offer, answer, confirmation.

as initiator:  start_offer ──► offering ──adopt_epoch──► the new epoch is in use
as responder:  adopt_answer ─► pending  ──adopt_confirmed (or a resume in it)──► the new epoch is in use

What can be refused is apart from what changes something: `verify_…` and `prepare_…` change nothing, `adopt_…` does not fail.
"""

from __future__ import annotations

from dataclasses import replace

from hermes_core.crypto.mlkem import Kem
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.suites import Suite, allow_suites, lists_hybrid
from hermes_core.crypto.x25519 import generate_ephemeral
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.confirmation import check_confirm, compute_confirm
from hermes_core.handshake.exchange import OutstandingOffer, build_answer, build_offer, complete_offer, verify_offer
from hermes_core.handshake.statement import KeyStatement, check_answer, check_offer
from hermes_core.handshake.transcript import HandshakeContext
from hermes_core.ids import MAX_EPOCH, Party, Role
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.epoch import Epoch
from hermes_core.ratchet.epochs import Epochs
from hermes_core.ratchet.prepared import PreparedAnswer, PreparedEpoch, VerifiedOffer
from hermes_core.ratchet.replay import next_order, refuse_outdated, refuse_reused, remember
from hermes_core.ratchet.state import Orders


class Negotiation:
    """Agrees on the next epoch of `epochs`; owns the offer under way, what was seen before, and the peer's identity key.

    `Channel` says what each method does for its caller.
    """

    __slots__ = (
        "_context",
        "_epochs",
        "_identity",
        "_kem",
        "_random",
        "_suites",
        "floor",
        "offer",
        "orders",
        "peer_public_key",
        "seen",
    )

    def __init__(
        self,
        context: ChannelContext,
        epochs: Epochs,
        *,
        identity: Identity,
        peer_public_key: bytes | None,
        suites: tuple[Suite, ...],
        random: RandomSource,
        kem: Kem,
        seen: tuple[bytes, ...],
        orders: Orders,
        floor: Suite | None,
    ) -> None:
        self._context = context
        self._epochs = epochs
        self._identity = identity
        self._suites = suites
        self._random = random
        self._kem = kem
        self.offer: OutstandingOffer | None = None
        self.peer_public_key = peer_public_key
        self.seen = seen
        self.orders = orders
        self.floor = floor

    def start_offer(self, wall_s: float) -> KeyStatement:
        context = self._build_context(initiator=self._context.local, responder=self._context.peer)
        order = next_order(self.orders.sent, wall_s)
        suites = self._allowed()
        decapsulation = self._kem.generate(self._random) if lists_hybrid(bytes(suites)) else None
        ephemeral = generate_ephemeral(self._random)
        statement, offer = build_offer(context, self._identity, order, suites, ephemeral, decapsulation)
        self.abandon_offer()
        self.offer = offer
        self.orders = replace(self.orders, sent=order)
        return statement

    def note_order(self, order: int) -> None:
        if order > self.orders.sent:
            self.orders = replace(self.orders, sent=order)

    def forget_orders(self) -> None:
        """Any order of the peer's is above what was seen; ours rise on."""
        self.orders = replace(self.orders, seen=0)

    # as responder

    def verify_offer(self, offer: KeyStatement, *, peer_public_key: bytes | None) -> VerifiedOffer:
        context = self._answer_context()
        self._refuse_stale_offer(offer, context.epoch)
        key = self._peer_key(peer_public_key)
        return VerifiedOffer(context, offer, verify_offer(context, offer, key, self._allowed(), self._kem), key)

    def prepare_answer(self, offer: VerifiedOffer, now: float) -> PreparedAnswer:
        context, statement = offer.context, offer.statement
        self._refuse_stale_offer(statement, self._answer_context().epoch)
        if context != self._answer_context():
            raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, "the channel has moved on since this offer was checked")
        encapsulation = self._kem.encapsulate(statement.kem, self._random) if offer.checked.suite.hybrid else None
        ephemeral, previous = generate_ephemeral(self._random), self._previous_ratchet()
        answer, keys = build_answer(context, self._identity, ephemeral, encapsulation, statement, offer.checked, previous)
        epoch = Epoch.begin(self._context, context.epoch, Role.RESPONDER, keys, now)
        ephemerals = statement.ephemeral, answer.ephemeral
        return PreparedAnswer(epoch, self._own_tag(epoch), offer.peer_public_key, ephemerals, answer)

    def adopt_answer(self, prepared: PreparedAnswer) -> None:
        self.abandon_offer()
        self._note_exchange(prepared)
        self.orders = replace(self.orders, seen=prepared.answer.order)
        self._epochs.await_confirm(prepared.epoch)

    # as initiator

    def prepare_epoch(
        self, answer: KeyStatement, confirm: bytes, now: float, *, peer_public_key: bytes | None
    ) -> PreparedEpoch:
        offer = self.offer
        if offer is None:
            raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, "no offer is outstanding")
        check_answer(answer, offer.context.epoch)
        refuse_reused(answer.ephemeral, self.seen)
        if answer.order != offer.order:
            raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, "the answer is for another offer than the one outstanding")
        key = self._peer_key(peer_public_key)
        keys = complete_offer(offer, answer, key, self._previous_ratchet())
        try:
            check_confirm(keys.suite.hash_id, keys.mac, Role.RESPONDER, keys.transcript_hash, confirm)
        except ProtocolError:
            keys.wipe()
            raise
        epoch = Epoch.begin(self._context, offer.context.epoch, Role.INITIATOR, keys, now)
        return PreparedEpoch(epoch, self._own_tag(epoch), key, (offer.ephemeral.public, answer.ephemeral))

    def adopt_epoch(self, prepared: PreparedEpoch, now: float) -> None:
        self._note_exchange(prepared)
        self.abandon_offer()
        self._epochs.adopt(prepared.epoch, now)

    # confirmations

    def verify_confirm(self, number: int, tag: bytes) -> Epoch:
        for epoch in (self._epochs.pending, self._epochs.current):
            if epoch is not None and epoch.number == number and epoch.role is Role.RESPONDER:
                check_confirm(epoch.suite.hash_id, epoch.mac, Role.INITIATOR, epoch.transcript_hash, tag)
                return epoch
        raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, f"epoch {number} does not wait for a confirmation")

    def awaited_confirm(self) -> bytes | None:
        epoch = self._epochs.pending
        if epoch is None:
            return None
        return compute_confirm(epoch.suite.hash_id, epoch.mac, Role.INITIATOR, epoch.transcript_hash)

    def adopt_confirmed(self, epoch: Epoch, now: float) -> bool:
        if epoch is not self._epochs.pending:
            return False
        self._epochs.adopt(epoch, now)
        return True

    def confirm_tag(self) -> tuple[int, bytes] | None:
        epoch = self._epochs.current
        return None if epoch is None or epoch.peer_proved else (epoch.number, self._own_tag(epoch))

    def abandon_offer(self) -> None:
        if self.offer is not None:
            self.offer.wipe()
            self.offer = None

    def _own_tag(self, epoch: Epoch) -> bytes:
        return compute_confirm(epoch.suite.hash_id, epoch.mac, epoch.role, epoch.transcript_hash)

    def _build_context(self, *, initiator: Party, responder: Party) -> HandshakeContext:
        number = self._epochs.number
        if number >= MAX_EPOCH:
            raise ProtocolError(ErrorCode.RATCHET_FAILED, "epochs of this chat are used up; replace it")
        current, channel = self._epochs.current, self._context
        previous = b"" if current is None else current.transcript_hash
        return HandshakeContext(channel.kind, channel.chat_id, number + 1, initiator, responder, previous)

    def _previous_ratchet(self) -> SecretBytes | None:
        return None if self._epochs.current is None else self._epochs.current.ratchet

    def _peer_key(self, given: bytes | None) -> bytes:
        key = self.peer_public_key or given
        if key is None or (given is not None and given != key):
            raise ProtocolError(ErrorCode.INVALID_KEY, "peer's identity key is missing or not the one known")
        return key

    def _answer_context(self) -> HandshakeContext:
        return self._build_context(initiator=self._context.peer, responder=self._context.local)

    def keep_floor(self) -> None:
        """The channel is about to forget its epochs: what begins anew goes not below what they used either."""
        self.floor = self.least_suite

    @property
    def least_suite(self) -> Suite | None:
        """What no later epoch goes below."""
        current = self._epochs.current
        return self.floor if current is None else current.suite

    def _allowed(self) -> tuple[Suite, ...]:
        return allow_suites(self._suites, self.least_suite)

    def _refuse_stale_offer(self, offer: KeyStatement, epoch: int) -> None:
        """INVALID_FRAME, KEY_VERSION_MISMATCH, REPLAYED_KEY, OFFER_OUTDATED: what needs no cryptography to be refused."""
        check_offer(offer, epoch)
        refuse_reused(offer.ephemeral, self.seen)
        refuse_outdated(offer.order, self.orders.seen)

    def _note_exchange(self, prepared: PreparedEpoch) -> None:
        """A snapshot holds these too; the epoch that they bring is what makes it `dirty`."""
        self.peer_public_key = prepared.peer_public_key
        self.seen = remember(self.seen, *prepared.ephemerals)
