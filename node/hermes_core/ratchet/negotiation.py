"""How the epochs of a channel begin: offer, answer, confirmation; who uses which epoch, and when the old one goes.

current ──start_offer──► offering ──complete──► current = new, old kept for reading
current ──answer_offer─► pending  ──check_confirm (or a resume in it)──► current = new, old kept for reading
"""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.x25519 import generate_ephemeral
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake import confirmation
from hermes_core.handshake.exchange import OutstandingOffer, build_answer, build_offer, complete_offer
from hermes_core.handshake.statement import KeyStatement, check_statement, derive_ephemeral_id
from hermes_core.handshake.transcript import HandshakeContext
from hermes_core.ids import MAX_EPOCH, ChannelKind, ChatId, Party, Role
from hermes_core.ratchet.epoch import Epoch
from hermes_core.ratchet.params import ChannelParams
from hermes_core.ratchet.skipped import SkippedKeys

MAX_SEEN_EPHEMERALS: Final = 32
"""Both sides' of the latest 16 exchanges. An older statement fails anyway: it names its epoch and the transcript before it."""


class Negotiation:
    """The part of a channel that agrees on epochs and holds them; `Channel` is the class to use."""

    __slots__ = (
        "_current", "_identity", "_offer", "_old", "_old_until_s", "_pending", "_random", "_seen", "_skipped",
        "chat_id", "dirty", "hash_id", "kind", "local", "params", "peer", "peer_public_key",
    )  # fmt: skip

    def __init__(
        self,
        *,
        kind: ChannelKind,
        chat_id: ChatId,
        identity: Identity,
        local: Party,
        peer: Party,
        peer_public_key: bytes | None,
        params: ChannelParams,
        random: RandomSource,
    ) -> None:
        """`peer_public_key` may be None until the first handshake brings it; `random` gives the ephemerals."""
        self.kind = kind
        self.chat_id = chat_id
        self.local = local
        self.peer = peer
        self.peer_public_key = peer_public_key
        self.params = params
        self.hash_id = params.hash_id
        self.dirty = False
        self._identity = identity
        self._random = random
        self._current: Epoch | None = None
        self._pending: Epoch | None = None
        self._old: Epoch | None = None
        self._old_until_s = 0.0
        self._offer: OutstandingOffer | None = None
        self._seen: tuple[bytes, ...] = ()
        self._skipped: SkippedKeys | None = None

    @property
    def epoch(self) -> int:
        """The epoch in use; 0 before the first."""
        return 0 if self._current is None else self._current.number

    @property
    def epoch_started_at_s(self) -> int:
        return 0 if self._current is None else self._current.created_at_s

    @property
    def pending_epoch(self) -> int:
        """The epoch this side answered for and that waits for its confirmation; 0: none."""
        return 0 if self._pending is None else self._pending.number

    @property
    def offering(self) -> bool:
        return self._offer is not None

    def start_offer(self) -> KeyStatement:
        """As initiator: the statement for the next epoch; it replaces an outstanding own offer."""
        context = self._build_context(initiator=self.local, responder=self.peer)
        statement, offer = build_offer(context, self._identity, generate_ephemeral(self._random))
        self.abandon_offer()
        self._offer = offer
        return statement

    def answer_offer(
        self, offer: KeyStatement, now: float, *, peer_public_key: bytes | None = None
    ) -> tuple[KeyStatement, bytes]:
        """As responder: (answer, own confirmation tag); the new epoch is pending.

        An older pending epoch and an own outstanding offer are dropped. `peer_public_key` is needed once, if the constructor
        did not get it. INVALID_FRAME, KEY_VERSION_MISMATCH, REPLAYED_KEY, INVALID_KEY, AUTH_FAILED.
        """
        context = self._build_context(initiator=self.peer, responder=self.local)
        check_statement(offer, context.epoch, self._seen)
        key = self._peer_key(peer_public_key)
        ephemeral = generate_ephemeral(self._random)
        answer, keys = build_answer(context, self._identity, ephemeral, offer, key, self._previous_ratchet())
        epoch = Epoch.begin(self.kind, self.chat_id, self.hash_id, context.epoch, Role.RESPONDER, keys, now)
        self.abandon_offer()
        self.drop_pending()
        self._pending = epoch
        self._accept_statements(key, offer.ephemeral, answer.ephemeral)
        return answer, confirmation.compute_confirm(self.hash_id, epoch.mac, Role.RESPONDER, epoch.transcript_hash)

    def complete(self, answer: KeyStatement, confirm: bytes, now: float, *, peer_public_key: bytes | None = None) -> bytes:
        """As initiator: check answer and tag, begin to use the new epoch, return the own confirmation tag.

        After an error the offer is still outstanding. KEY_VERSION_MISMATCH when none is; INVALID_FRAME, REPLAYED_KEY,
        INVALID_KEY, AUTH_FAILED, KEY_MISMATCH.
        """
        offer = self._offer
        if offer is None:
            raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, "no offer is outstanding")
        check_statement(answer, offer.context.epoch, self._seen)
        key = self._peer_key(peer_public_key)
        keys = complete_offer(offer, answer, key, self._previous_ratchet())
        try:
            confirmation.check_confirm(self.hash_id, keys.mac, Role.RESPONDER, keys.transcript_hash, confirm)
        except ProtocolError:
            keys.wipe()
            raise
        epoch = Epoch.begin(self.kind, self.chat_id, self.hash_id, offer.context.epoch, Role.INITIATOR, keys, now)
        self._accept_statements(key, offer.ephemeral.public, answer.ephemeral)
        self.abandon_offer()
        self.drop_pending()
        self._adopt(epoch, now)
        return confirmation.compute_confirm(self.hash_id, epoch.mac, Role.INITIATOR, epoch.transcript_hash)

    def check_confirm(self, epoch: int, tag: bytes, now: float) -> None:
        """As responder: the initiator's tag; the pending epoch becomes the one in use. Idempotent.

        KEY_MISMATCH for a wrong tag (the caller drops the epoch), KEY_VERSION_MISMATCH for any other epoch.
        """
        for held in (self._pending, self._current):
            if held is not None and held.number == epoch and held.role is Role.RESPONDER:
                confirmation.check_confirm(self.hash_id, held.mac, Role.INITIATOR, held.transcript_hash, tag)
                if held is self._pending:
                    self._adopt(held, now)
                return
        raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, f"epoch {epoch} does not wait for a confirmation")

    def confirm_tag(self) -> tuple[int, bytes] | None:
        """As initiator: (epoch, tag) to repeat until the peer has shown that it uses the epoch; None afterwards."""
        epoch = self._current
        if epoch is None or epoch.peer_proved:
            return None
        tag = confirmation.compute_confirm(self.hash_id, epoch.mac, Role.INITIATOR, epoch.transcript_hash)
        return epoch.number, tag

    def abandon_offer(self) -> None:
        """Forget an outstanding own offer; harmless when there is none."""
        if self._offer is not None:
            self._offer.wipe()
            self._offer = None

    def drop_pending(self) -> None:
        """Forget the pending epoch; harmless when there is none."""
        if self._pending is not None:
            self._pending.wipe()
            self._pending = None
            self.dirty = True

    def _adopt(self, epoch: Epoch, now: float) -> None:
        """Use `epoch` from now on; what was in use stays readable until the peer's first frame, at most `overlap_s`."""
        self._drop_old()
        if self._current is not None:
            self._current.send.wipe()  # nothing more is sent under it
            self._old = self._current
            self._old_until_s = now + self.params.overlap_s
        if epoch is self._pending:
            self._pending = None
        self._current = epoch
        self.dirty = True

    def _drop_old(self) -> None:
        if self._old is not None:
            if self._skipped is not None:
                self._skipped.drop_epoch(self._old.number)
            self._old.wipe()
            self._old = None

    def _build_context(self, *, initiator: Party, responder: Party) -> HandshakeContext:
        if self.epoch >= MAX_EPOCH:
            raise ProtocolError(ErrorCode.RATCHET_FAILED, "epochs of this chat are used up; replace it")
        previous = b"" if self._current is None else self._current.transcript_hash
        return HandshakeContext(self.kind, self.hash_id, self.chat_id, self.epoch + 1, initiator, responder, previous)

    def _previous_ratchet(self) -> SecretBytes | None:
        return None if self._current is None else self._current.ratchet

    def _peer_key(self, given: bytes | None) -> bytes:
        key = self.peer_public_key or given
        if key is None or (given is not None and given != key):
            raise ProtocolError(ErrorCode.INVALID_KEY, "peer's identity key is missing or not the one known")
        return key

    def _accept_statements(self, peer_public_key: bytes, *ephemerals: bytes) -> None:
        self.peer_public_key = peer_public_key
        seen = self._seen + tuple(derive_ephemeral_id(ephemeral) for ephemeral in ephemerals)
        self._seen = seen[-MAX_SEEN_EPHEMERALS:]
        self.dirty = True
