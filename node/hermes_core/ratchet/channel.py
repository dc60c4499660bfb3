"""One secret channel with its epochs; the same class serves end-to-end channels, legs and tielines.

Frames are sealed and opened here; `negotiation.py` adds how epochs begin, `resume.py` how a broken stream is taken up again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.aead import open_frame, seal_frame
from hermes_core.crypto.encoding import lp, u8, u32, u64
from hermes_core.crypto.hashing import HashId, compute_tag, equal_tags
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, ChatId, Role
from hermes_core.ratchet.chain import Chain
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.epoch import Epoch
from hermes_core.ratchet.header import (
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    MAX_PLAINTEXT_BYTES,
    PREFIX_BYTES,
    parse_header,
)
from hermes_core.ratchet.negotiation import Negotiation
from hermes_core.ratchet.params import ChannelParams
from hermes_core.ratchet.resume import ResumeContext, build_claim, check_claims
from hermes_core.ratchet.skipped import SkippedKeys
from hermes_core.ratchet.state import ChannelSnapshot

__all__ = ["Channel", "ChannelParams"]

ACK_TAG_BYTES: Final = 16


class Channel(Negotiation):
    """A channel between `local` and `peer`.

    Every method that takes something from the peer raises ProtocolError and leaves the channel untouched when it is not
    acceptable. `dirty` says that persisted state changed: commit `snapshot()` (which resets it) before any frame leaves.
    """

    __slots__ = ()

    # frames

    def seal(self, plaintext: bytes, now: float, *, aad_suffix: bytes = b"") -> bytes:
        """The next frame. Reserves ahead when needed: then `dirty` is set, and the snapshot must be durable before it leaves.

        CHAT_NOT_READY before the first epoch; INVALID_FRAME for a plaintext beyond the bound of the channel's kind.
        """
        epoch = self._current
        if epoch is None:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "channel has no confirmed epoch yet")
        if len(plaintext) > MAX_PLAINTEXT_BYTES[self.kind]:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "plaintext is too long")
        chain = epoch.send
        position = chain.next
        if position >= chain.reserved:
            if position + self.params.window > MAX_POSITION:
                raise ProtocolError(ErrorCode.REKEY_REQUIRED, "positions of this epoch are used up")
            chain.reserve(position, self.params.window, now)
            self.dirty = True
        header = epoch.send_prefix + position.to_bytes(8, "big")
        frame = seal_frame(chain.message_key(position), header, plaintext, header + aad_suffix)
        chain.advance(position)
        return frame

    def open(self, frame: bytes, now: float, *, aad_suffix: bytes = b"") -> bytes:
        """The plaintext of a frame of the current epoch, or of the previous one while it overlaps.

        INVALID_FRAME, KEY_VERSION_MISMATCH, CHAT_NOT_READY, REPLAYED_FRAME, RATCHET_DESYNC, AUTH_FAILED.
        """
        epoch = self._current
        if (
            epoch is None
            or not frame.startswith(epoch.recv_prefix)
            or not FRAME_OVERHEAD_BYTES <= len(frame) <= MAX_FRAME_BYTES[self.kind]
        ):
            epoch = self._find_epoch(frame, now)
        header = frame[:HEADER_BYTES]
        position = int.from_bytes(header[PREFIX_BYTES:], "big")
        chain = epoch.recv
        ahead = position - chain.next
        if ahead < 0:
            return self._open_skipped(epoch, position, frame, header + aad_suffix, now)
        if ahead > self.params.max_skip:
            raise self._too_far(position)
        try:
            plaintext = open_frame(chain.message_key(position), frame, HEADER_BYTES, header + aad_suffix)
        except ProtocolError:
            chain.forget()
            raise
        if ahead and self.params.max_skipped_keys:
            self._keep_skipped(epoch, position, now)
        if position >= chain.reserved and epoch is not self._old:
            chain.reserve(position, self.params.window, now)
            self.dirty = True
        chain.advance(position)
        epoch.recv_proven = position + 1
        if epoch is self._current:
            epoch.peer_proved = True
            if self._old is not None:
                self._drop_old()
        return plaintext

    def _find_epoch(self, frame: bytes, now: float) -> Epoch:
        header = parse_header(frame)
        if header.kind is not self.kind or header.chat_id != self.chat_id:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "frame belongs to another channel")
        old = self._old if now < self._old_until_s else None  # a late timer does not prolong the overlap
        epochs = (epoch for epoch in (self._current, old) if epoch is not None)
        epoch = next((epoch for epoch in epochs if epoch.number == header.epoch), None)
        if epoch is None:
            if self._pending is not None and self._pending.number == header.epoch:
                raise ProtocolError(ErrorCode.CHAT_NOT_READY, "epoch is not confirmed yet")
            raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, f"no keys of epoch {header.epoch}")
        if header.direction is not epoch.role.peer:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "frame goes in the other direction")
        return epoch

    def _too_far(self, position: int) -> ProtocolError:
        if position > MAX_POSITION:
            return ProtocolError(ErrorCode.INVALID_FRAME, "position out of bounds")
        return ProtocolError(ErrorCode.RATCHET_DESYNC, f"position is more than {self.params.max_skip} ahead")

    def _open_skipped(self, epoch: Epoch, position: int, frame: bytes, aad: bytes, now: float) -> bytes:
        key = None if self._skipped is None else self._skipped.find(epoch.number, position, now)
        if self._skipped is None or key is None:
            raise ProtocolError(ErrorCode.REPLAYED_FRAME, "position was used before")
        plaintext = open_frame(key, frame, HEADER_BYTES, aad)
        self._skipped.use(epoch.number, position)
        return plaintext

    def _keep_skipped(self, epoch: Epoch, position: int, now: float) -> None:
        if self._skipped is None:
            self._skipped = SkippedKeys(self.params.max_skipped_keys, self.params.skipped_ttl_s)
        first = max(epoch.recv.next, position - self.params.max_skipped_keys)
        for skipped in range(first, position):
            self._skipped.add(epoch.number, skipped, epoch.recv.message_key(skipped), now)

    # acknowledgements

    def ack_tag(self, seq: int) -> tuple[int, bytes]:
        """This side's proof that everything up to `seq` was handed over: (end-to-end epoch, 16 bytes)."""
        if self._current is None:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY, "channel has no confirmed epoch yet")
        return self._current.number, self._compute_ack(self._current, self._current.role, seq)

    def check_ack(self, seq: int, epoch: int, tag: bytes) -> None:
        """KEY_VERSION_MISMATCH for an epoch whose keys are gone, AUTH_FAILED for a wrong tag."""
        for held in (self._current, self._old):
            if held is not None and held.number == epoch:
                if not equal_tags(self._compute_ack(held, held.role.peer, seq), tag):
                    raise ProtocolError(ErrorCode.AUTH_FAILED, "acknowledgement is not authentic")
                return
        raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, f"no keys of epoch {epoch}")

    def _compute_ack(self, epoch: Epoch, role: Role, seq: int) -> bytes:
        if not 0 <= seq <= MAX_POSITION:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "seq out of bounds")
        data = lp(labels.ACK) + self.chat_id + u32(epoch.number) + u8(role) + u64(seq)
        return compute_tag(self.hash_id, epoch.mac, data)[:ACK_TAG_BYTES]

    # resume

    def claims(self, binding: bytes) -> tuple[EpochClaim, ...]:
        """Where this side stands, for the peer on the stream with this session binding."""
        return tuple(build_claim(self._resume_context(binding), epoch) for epoch in self._held())

    def resume(self, claims: tuple[EpochClaim, ...], binding: bytes, now: float) -> None:
        """Take up the highest common epoch and never lower a position.

        RATCHET_DESYNC, AUTH_FAILED, ROLLBACK_DETECTED (RollbackDetectedError says whose), INVALID_FRAME.
        """
        epoch, claim = check_claims(self._resume_context(binding), tuple(self._held()), claims, self.params.max_skip)
        if epoch is self._pending:
            self._adopt(epoch, now)
        self.drop_pending()
        self._drop_old()  # what its frames carried is sent again
        reserved = (epoch.send.reserved, epoch.recv.reserved)
        epoch.send.fast_forward(claim.recv_next)
        epoch.recv.fast_forward(claim.send_next)
        epoch.peer_proved = True
        if reserved != (epoch.send.reserved, epoch.recv.reserved):
            self.dirty = True

    def _held(self) -> Iterator[Epoch]:
        return (epoch for epoch in (self._current, self._pending) if epoch is not None)

    def _resume_context(self, binding: bytes) -> ResumeContext:
        return ResumeContext(self.kind, self.hash_id, self.chat_id, binding)

    # persistence

    def snapshot(self) -> ChannelSnapshot:
        """What the sealed record holds; the caller wipes it after sealing. Resets `dirty`."""
        self.dirty = False
        return ChannelSnapshot(
            kind=self.kind,
            local=self.local,
            peer=self.peer,
            peer_public_key=self.peer_public_key or b"",
            current=None if self._current is None else self._current.snapshot(confirmed=True),
            pending=None if self._pending is None else self._pending.snapshot(confirmed=False),
            seen_ephemerals=self._seen,
        )

    @classmethod
    def restore(
        cls, snapshot: ChannelSnapshot, *, chat_id: ChatId, identity: Identity, params: ChannelParams, random: RandomSource
    ) -> Channel:
        """Resume at the reserved positions. Secrets are copied; the caller wipes the snapshot.

        A channel keeps the hash it began with, whatever `params` says: its length shows in the transcript hash.
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
        )
        held = snapshot.current or snapshot.pending
        if held is not None:
            channel.hash_id = HashId.SHA256 if len(held.transcript_hash) == 32 else HashId.SHA512
        if snapshot.current is not None:
            channel._current = Epoch.restore(snapshot.kind, chat_id, channel.hash_id, snapshot.current)
        if snapshot.pending is not None:
            channel._pending = Epoch.restore(snapshot.kind, chat_id, channel.hash_id, snapshot.pending)
        channel._seen = snapshot.seen_ephemerals
        return channel

    # timers and end

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to wipe; None: nothing."""
        times = [chain.rows_drop_at_s for chain in self._chains()]
        if self._old is not None:
            times.append(self._old_until_s)
        if self._skipped is not None:
            times.append(self._skipped.next_timer())
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Wipe what is due: the old epoch, keys of skipped positions, derived keys of idle chains."""
        for chain in self._chains():
            chain.drop_idle_rows(now)
        if self._old is not None and now >= self._old_until_s:
            self._drop_old()
        if self._skipped is not None:
            self._skipped.drop_expired(now)

    def wipe(self) -> None:
        """Zero every key of the channel; it cannot be used afterwards."""
        self.abandon_offer()
        self.drop_pending()
        self._drop_old()
        if self._current is not None:
            self._current.wipe()
            self._current = None
        if self._skipped is not None:
            self._skipped.wipe()

    def _chains(self) -> Iterator[Chain]:
        for epoch in (self._current, self._pending, self._old):
            if epoch is not None:
                yield epoch.send
                yield epoch.recv

    # what is shown of it

    @property
    def send_next(self) -> int:
        return 0 if self._current is None else self._current.send.next

    @property
    def recv_next(self) -> int:
        return 0 if self._current is None else self._current.recv.next

    @property
    def send_reserved(self) -> int:
        return 0 if self._current is None else self._current.send.reserved

    @property
    def recv_reserved(self) -> int:
        return 0 if self._current is None else self._current.recv.reserved
