"""One secret channel with its epochs; the same class serves end-to-end channels, legs and tielines.

Frames are sealed and opened here; `epochs.py` holds the keys, `negotiation.py` agrees on new ones, `resume.py` compares claims.
"""

from __future__ import annotations

from typing import Self

from hermes_core.crypto.aead import open_frame, seal_frame
from hermes_core.crypto.mlkem import ML_KEM_768, Kem
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.suites import Suite
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import MAX_POSITION, ChannelKind, ChatId, Party
from hermes_core.ratchet.ack import ACK_TAG_BYTES, check_ack_tag, compute_ack_tag
from hermes_core.ratchet.chat_claim import (
    ChatClaim,
    MessageCursor,
    build_chat_claim,
    check_chat_claim,
    is_of_epoch,
)
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.end_proof import EndProof, build_end_proof, proves_end
from hermes_core.ratchet.epoch import Epoch
from hermes_core.ratchet.epochs import EARLY, NEEDED, Epochs
from hermes_core.ratchet.header import (
    POSITION_END,
    PREFIX_BYTES,
    SHAPES,
    START_BYTES,
    build_nonce,
)
from hermes_core.ratchet.negotiation import Negotiation
from hermes_core.ratchet.params import DEFAULT_SUITES, ChannelParams
from hermes_core.ratchet.prepared import PreparedAnswer, PreparedEpoch, VerifiedOffer
from hermes_core.ratchet.resume import ResumeContext, build_claim, check_positions, find_claim
from hermes_core.ratchet.state import NO_ORDERS, ChannelSnapshot, Orders

__all__ = ["ACK_TAG_BYTES", "Channel", "ChannelParams"]


class Channel:
    """A channel between `local` and `peer`.

    Every method that takes something from the peer raises ProtocolError and leaves the channel untouched when it is not
    acceptable. `dirty` says that persisted state changed: commit `snapshot()` (which resets it) before any frame leaves.
    `early` says that positions were reserved before they are needed: commit a snapshot soon; no frame waits for it until
    `take_reliance` says so.
    `epochs` and `negotiation` are there to be looked at; only the channel changes them.
    """

    __slots__ = ("_context", "_reserves", "_shape", "chat_id", "epochs", "kind", "local", "negotiation", "params", "peer")

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
        kem: Kem = ML_KEM_768,
        seen_ephemerals: tuple[bytes, ...] = (),
        orders: Orders = NO_ORDERS,
        floor: Suite | None = None,
        reserves: bool = True,
    ) -> None:
        """`peer_public_key` may be None until the first handshake brings it; `random` and `kem` give the ephemerals.

        Without `reserves` nothing is reserved ahead: a snapshot sends on from the next position, and receives from the one
        after what `settle` was told of. Whoever sends must have kept it, as it is, before it leaves.
        """
        self.kind = kind
        self._shape = SHAPES[kind]
        self.chat_id = chat_id
        self.local = local
        self.peer = peer
        self.params = params
        self._reserves = reserves
        self._context = ChannelContext(kind, chat_id, local, peer)
        self.epochs = Epochs(self._context, params)
        self.negotiation = Negotiation(
            self._context,
            self.epochs,
            identity=identity,
            peer_public_key=peer_public_key,
            suites=params.suites or DEFAULT_SUITES[kind],
            random=random,
            kem=kem,
            seen=seen_ephemerals,
            orders=orders,
            floor=floor,
        )

    # frames

    def seal(self, plaintext: bytes, now: float, *, nonce: bytes, aad_suffix: bytes = b"") -> bytes:
        """The next frame. Reserves ahead: where `dirty` is set for that, the snapshot must be durable before the frame leaves.

        `nonce`: 12 bytes; on a hop those of the stream that carries the frame, end to end `build_nonce` of the app's start.
        CHAT_NOT_READY before the first epoch; INVALID_FRAME for a plaintext beyond the bound of the channel's kind.
        """
        epoch = self.epochs.current or self.epochs.require_current()
        if len(plaintext) > self._shape.max_plaintext_bytes:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "plaintext is too long")
        chain = epoch.send
        position = chain.next
        if position >= chain.mark:
            if position >= chain.reserved and position + self.params.window > MAX_POSITION:
                raise ProtocolError(ErrorCode.REKEY_REQUIRED, "positions of this epoch are used up")
            self.epochs.reserve(chain, position, now, self._reserves)
        header = epoch.send_prefix + position.to_bytes(8, "big")
        if self._shape.header_bytes != POSITION_END:  # end to end: the receiver cannot know which start this is
            header += nonce[-START_BYTES:]
        frame = seal_frame(chain.message_key(position), nonce, header, plaintext, header + aad_suffix)
        chain.advance(position)
        return frame

    def open(self, frame: bytes, now: float, *, nonce: bytes = b"", aad_suffix: bytes = b"", may_lack: int = 0) -> bytes:
        """The plaintext of a frame of the current epoch, or of the previous one while it overlaps; in the order of positions.

        `nonce`: on a hop the 12 bytes of the stream that brought the frame; end to end the header has them, and none is given.
        `may_lack`: end to end, how many positions may be missing before the first frame that is opened in an epoch.
        INVALID_FRAME, KEY_VERSION_MISMATCH, CHAT_NOT_READY, REPLAYED_FRAME, AUTH_FAILED; RATCHET_DESYNC for a position ahead,
        which on a hop ends the stream (its scope), and for which no key is derived.
        """
        epochs, shape = self.epochs, self._shape
        epoch = epochs.current
        if (
            epoch is None
            or not frame.startswith(epoch.recv_prefix)
            or not shape.min_frame_bytes <= len(frame) <= shape.max_frame_bytes
        ):
            epoch = epochs.find_reader(frame, now)
        header_bytes = shape.header_bytes
        header = frame[:header_bytes]
        position = int.from_bytes(header[PREFIX_BYTES:POSITION_END], "big")
        if header_bytes != POSITION_END:
            nonce = build_nonce(header[POSITION_END:])
        chain = epoch.recv
        ahead = position - chain.next
        if ahead < 0:
            raise ProtocolError(ErrorCode.REPLAYED_FRAME, "position was used before")
        if ahead and (chain.next or ahead > may_lack):
            raise self._out_of_step(epoch, position)
        try:
            plaintext = open_frame(chain.message_key(position), nonce, frame, header_bytes, header + aad_suffix)
        except ProtocolError:
            chain.forget()
            raise
        if self._reserves and position >= chain.mark and epoch is not epochs.old:
            epochs.reserve(chain, position, now)
        epoch.accept(position)
        if epochs.old is not None and epoch is epochs.current:
            epochs.drop_old()
        return plaintext

    def settle(self, unsettled: int) -> None:
        """Of a channel that reserves nothing: all that was opened is safe, but for the last `unsettled` frames."""
        self.epochs.settle(unsettled)

    def _out_of_step(self, epoch: Epoch, position: int) -> ProtocolError:
        if position > MAX_POSITION:
            return ProtocolError(ErrorCode.INVALID_FRAME, "position out of bounds")
        if self.kind is ChannelKind.END_TO_END:
            return ProtocolError(ErrorCode.RATCHET_DESYNC, "positions are missing before this one", scope=ErrorScope.FRAME)
        if not epoch.in_step:
            return ProtocolError(ErrorCode.CHAT_NOT_READY, "the positions of this epoch are not agreed on on this stream")
        return ProtocolError(ErrorCode.RATCHET_DESYNC, "a position of this stream is missing", scope=ErrorScope.STREAM)

    def lose_step(self) -> None:
        """A frame was refused unopened; frames after it are refused too, and end nothing, until positions are agreed on."""
        self.epochs.lose_step()

    def leave_stream(self) -> None:
        """The stream that this hop used is gone."""
        self.epochs.leave_stream()

    # acknowledgements

    def ack_tag(self, seq: int) -> tuple[int, bytes]:
        """This side's proof that everything up to `seq` was handed over: (end-to-end epoch, 16 bytes)."""
        epoch = self.epochs.require_current()
        return epoch.number, compute_ack_tag(self._context, epoch, epoch.role, seq)

    def check_ack(self, seq: int, epoch: int, tag: bytes) -> None:
        """The peer's proof, also that it has our confirmation; KEY_VERSION_MISMATCH when the keys are gone, AUTH_FAILED."""
        held = self.epochs.find_keys(epoch)
        check_ack_tag(self._context, held, seq, tag)
        held.prove()

    # claims of one app to the other

    def chat_claims(self, nonce: bytes, cursor: MessageCursor) -> tuple[ChatClaim, ...]:
        """Where this side stands, for the peer that asked with `nonce`: one claim for each epoch that is held."""
        order = self.negotiation.orders.seen
        return tuple(build_chat_claim(self._context, epoch, order, nonce, cursor) for epoch in self.epochs.claimable())

    def check_chat_claim(self, claim: ChatClaim) -> bool:
        """Whether the peer has seen positions beyond ours; none moves. KEY_VERSION_MISMATCH (it is not held), AUTH_FAILED."""
        for epoch in self.epochs.claimable():
            if is_of_epoch(claim, epoch):
                check_chat_claim(self._context, epoch, claim)
                self.negotiation.note_order(claim.order)
                return claim.recv_proven > epoch.send.next
        raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, "a claim of an epoch that is not held")

    # the end

    def prove_end(self) -> tuple[EndProof, ...]:
        """This side's word that it deletes the chat, in each epoch that the peer may be in; none before the first."""
        return tuple(build_end_proof(self._context, epoch) for epoch in self.epochs.claimable())

    def is_end(self, proofs: tuple[EndProof, ...]) -> bool:
        """Whether one of them is the peer's word, in an epoch whose keys are held."""
        held = self.epochs.held()
        return any(proves_end(self._context, epoch, proof, epoch.role.peer) for epoch in held for proof in proofs)

    def is_own_end(self, proofs: tuple[EndProof, ...]) -> bool:
        """Whether one of them is this side's own word, which a store put back to before the delete has forgotten."""
        held = self.epochs.held()
        return any(proves_end(self._context, epoch, proof, epoch.role) for epoch in held for proof in proofs)

    def is_unshared_end(self, proofs: tuple[EndProof, ...]) -> bool:
        """Whether there is a word, and only of epochs whose keys are not held: nobody here can tell whose it is."""
        held = {epoch.number for epoch in self.epochs.held()}
        return bool(proofs) and not any(proof.epoch in held for proof in proofs)

    # new epochs

    def start_offer(self, wall_s: float) -> KeyStatement:
        """As initiator: the statement for the next epoch; it replaces an outstanding own offer. `wall_s`: Unix time."""
        return self.negotiation.start_offer(wall_s)

    def verify_offer(self, offer: KeyStatement, *, peer_public_key: bytes | None = None) -> VerifiedOffer:
        """As responder: whether an offer is to be answered; nothing changes, and nothing secret is made.

        `peer_public_key` is needed once, if the constructor did not get it.
        INVALID_FRAME, KEY_VERSION_MISMATCH, REPLAYED_KEY, OFFER_OUTDATED, INVALID_KEY, AUTH_FAILED, UNSUPPORTED.
        """
        return self.negotiation.verify_offer(offer, peer_public_key=peer_public_key)

    def prepare_answer(self, offer: VerifiedOffer, now: float) -> PreparedAnswer:
        """As responder: the answer, and the epoch that it leads to; nothing changes before `adopt_answer`.

        KEY_VERSION_MISMATCH, REPLAYED_KEY and OFFER_OUTDATED when the channel has moved on since the offer was verified.
        """
        return self.negotiation.prepare_answer(offer, now)

    def adopt_answer(self, prepared: PreparedAnswer) -> None:
        """The answer is about to leave: its epoch is pending. An older pending epoch and an own outstanding offer are dropped.

        It was prepared by this channel, which nothing has changed since.
        """
        self.negotiation.adopt_answer(prepared)

    def answer_offer(
        self, offer: KeyStatement, now: float, *, peer_public_key: bytes | None = None
    ) -> tuple[KeyStatement, bytes]:
        """(answer, own confirmation tag): all three, for a channel that stands alone."""
        prepared = self.prepare_answer(self.verify_offer(offer, peer_public_key=peer_public_key), now)
        self.adopt_answer(prepared)
        return prepared.answer, prepared.tag

    def prepare_epoch(
        self, answer: KeyStatement, confirm: bytes, now: float, *, peer_public_key: bytes | None = None
    ) -> PreparedEpoch:
        """As initiator: check answer and tag; the new epoch and our own tag. Nothing changes before `adopt_epoch`.

        INVALID_FRAME, KEY_VERSION_MISMATCH (also when the offer it is for is not outstanding), REPLAYED_KEY, UNSUPPORTED,
        INVALID_KEY, AUTH_FAILED, KEY_MISMATCH.
        """
        return self.negotiation.prepare_epoch(answer, confirm, now, peer_public_key=peer_public_key)

    def adopt_epoch(self, prepared: PreparedEpoch, now: float) -> None:
        """Use the epoch from now on; nothing has changed this channel since it was prepared."""
        self.negotiation.adopt_epoch(prepared, now)

    def complete(self, answer: KeyStatement, confirm: bytes, now: float, *, peer_public_key: bytes | None = None) -> bytes:
        """Both, for a channel that stands alone; the own confirmation tag. After an error the offer is still outstanding."""
        prepared = self.prepare_epoch(answer, confirm, now, peer_public_key=peer_public_key)
        self.adopt_epoch(prepared, now)
        return prepared.tag

    def verify_confirm(self, epoch: int, tag: bytes) -> Epoch:
        """As responder: the epoch that the initiator's tag confirms, now or again; nothing changes before `adopt_confirmed`.

        KEY_MISMATCH for a wrong tag, KEY_VERSION_MISMATCH for any other epoch.
        """
        return self.negotiation.verify_confirm(epoch, tag)

    def awaited_confirm(self) -> bytes | None:
        """As responder: the tag that will confirm the epoch which waits for it; None: none waits. It is no secret."""
        return self.negotiation.awaited_confirm()

    def adopt_confirmed(self, epoch: Epoch, now: float) -> bool:
        """The pending epoch becomes the one in use; False for one that is in use already."""
        return self.negotiation.adopt_confirmed(epoch, now)

    def check_confirm(self, epoch: int, tag: bytes, now: float) -> bool:
        """Both, for a channel that stands alone."""
        return self.adopt_confirmed(self.verify_confirm(epoch, tag), now)

    def confirm_tag(self) -> tuple[int, bytes] | None:
        """As initiator: (epoch, tag) to repeat until the peer has shown that it uses the epoch; None afterwards."""
        return self.negotiation.confirm_tag()

    def abandon_offer(self) -> None:
        """Forget an outstanding own offer; harmless when there is none."""
        self.negotiation.abandon_offer()

    def drop_pending(self) -> None:
        """Forget the pending epoch; harmless when there is none."""
        self.epochs.drop_pending()

    @property
    def least_suite(self) -> Suite | None:
        """What no later epoch goes below, here or in a channel that takes this one's place."""
        return self.negotiation.least_suite

    # resume

    def claims(self, binding: bytes) -> tuple[EpochClaim, ...]:
        """Where this side stands, for the peer on the stream with this session binding."""
        context = ResumeContext.of(self._context, binding)
        return tuple(build_claim(context, epoch, self.negotiation.orders.seen) for epoch in self.epochs.claimable())

    def resume(self, claims: tuple[EpochClaim, ...], binding: bytes, now: float) -> None:
        """Take up the highest common epoch and never lower a position.

        RATCHET_DESYNC, AUTH_FAILED, ROLLBACK_DETECTED (the detail says whose), INVALID_FRAME. Whatever the positions are, an
        authentic claim says from which epoch the next offer goes on, and above which order: a rekey is what cures a rollback.
        """
        context = ResumeContext.of(self._context, binding)
        epoch, claim = find_claim(context, self.epochs.claimable(), claims)
        self.negotiation.note_order(claim.order)
        self.epochs.agree(epoch, now)
        check_positions(epoch, claim, self.params.max_skip)
        self.epochs.resume(epoch, claim)

    def shares_epoch(self, claims: tuple[EpochClaim, ...]) -> bool:
        """Whether the peer claims an epoch that this side can take up; its positions and tag are another matter."""
        return self.epochs.shares(claims)

    def restart(self) -> None:
        """Forget every key: peer and channel share no epoch, and the next exchange makes a first one.

        Ephemerals are remembered, so that no old exchange can be delivered as new; the peer's orders are not: a store that was
        put back may have lost what it had come to, and without an epoch in common no claim could tell it.
        """
        self.abandon_offer()
        self.negotiation.keep_floor()
        self.negotiation.forget_orders()
        self.epochs.forget()

    # persistence

    def snapshot(self) -> ChannelSnapshot:
        """What the sealed record holds; the caller wipes it after sealing. Resets `dirty` and `early`."""
        current, pending = self.epochs.snapshot()
        return ChannelSnapshot(
            kind=self.kind,
            local=self.local,
            peer=self.peer,
            peer_public_key=self.peer_public_key or b"",
            current=current,
            pending=pending,
            seen_ephemerals=self.negotiation.seen,
            orders=self.negotiation.orders,
            floor=self.negotiation.floor,
        )

    @classmethod
    def restore(
        cls,
        snapshot: ChannelSnapshot,
        *,
        chat_id: ChatId,
        identity: Identity,
        params: ChannelParams,
        random: RandomSource,
        kem: Kem = ML_KEM_768,
        reserves: bool = True,
    ) -> Self:
        """Resume at the reserved positions. Secrets are copied; the caller wipes the snapshot.

        Epochs keep the suite that they were made with, whatever `params` says.
        """
        channel = cls(
            kind=snapshot.kind,
            chat_id=chat_id,
            identity=identity,
            local=snapshot.local,
            peer=snapshot.peer,
            peer_public_key=snapshot.peer_public_key or None,
            params=params,
            random=random,
            kem=kem,
            seen_ephemerals=snapshot.seen_ephemerals,
            orders=snapshot.orders,
            floor=snapshot.floor,
            reserves=reserves,
        )
        channel.epochs.restore(snapshot.current, snapshot.pending)
        return channel

    # timers and end

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to wipe; None: nothing."""
        return self.epochs.next_timer()

    def handle_timer(self, now: float) -> None:
        """Wipe what is due: the old epoch, derived keys of idle chains."""
        self.epochs.handle_timer(now)

    def wipe(self) -> None:
        """Zero every key of the channel; it cannot be used afterwards."""
        self.abandon_offer()
        self.epochs.wipe()

    # what is shown of it

    @property
    def peer_public_key(self) -> bytes | None:
        return self.negotiation.peer_public_key

    @property
    def dirty(self) -> bool:
        return bool(self.epochs.news & NEEDED)

    @property
    def early(self) -> bool:
        return bool(self.epochs.news & EARLY)

    def take_reliance(self) -> bool:
        """True once when positions are used that only the latest snapshot for `early` covers: what leaves waits for that."""
        return self.epochs.take_reliance()

    @property
    def epoch(self) -> int:
        """The epoch in use; 0 before the first."""
        return self.epochs.number

    @property
    def epoch_started_at_s(self) -> int:
        return 0 if self.epochs.current is None else self.epochs.current.created_at_s

    @property
    def pending_epoch(self) -> int:
        """The epoch this side answered for and that waits for its confirmation; 0: none."""
        return 0 if self.epochs.pending is None else self.epochs.pending.number

    @property
    def suite(self) -> Suite | None:
        """Of the epoch in use; None before the first."""
        return None if self.epochs.current is None else self.epochs.current.suite

    @property
    def offering(self) -> bool:
        return self.negotiation.offer is not None

    @property
    def send_next(self) -> int:
        return 0 if self.epochs.current is None else self.epochs.current.send.next

    @property
    def send_reserved(self) -> int:
        """Up to where positions may be used without waiting for what was reserved early."""
        return 0 if self.epochs.current is None else self.epochs.current.send.relied_on

    @property
    def recv_next(self) -> int:
        return 0 if self.epochs.current is None else self.epochs.current.recv.next

    @property
    def recv_reserved(self) -> int:
        return 0 if self.epochs.current is None else self.epochs.current.recv.relied_on
