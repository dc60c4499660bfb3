"""One epoch of a channel: its keys, its two chains, and what the peer has proven in it."""

from __future__ import annotations

from hermes_core.crypto.hashing import HashId
from hermes_core.crypto.secret import SecretBytes
from hermes_core.handshake.key_schedule import EpochKeys
from hermes_core.ids import ChannelKind, ChatId, Role
from hermes_core.ratchet.chain import Chain
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.header import encode_prefix
from hermes_core.ratchet.state import EpochSnapshot


class Epoch:
    """`recv_proven` is one more than the highest position authenticated; `peer_proved` says that the peer uses this epoch."""

    __slots__ = (
        "created_at_s", "mac", "number", "peer_proved", "ratchet", "recv", "recv_prefix", "recv_proven", "role", "send",
        "send_prefix", "transcript_hash",
    )  # fmt: skip

    def __init__(
        self,
        *,
        kind: ChannelKind,
        chat_id: ChatId,
        number: int,
        role: Role,
        transcript_hash: bytes,
        mac: SecretBytes,
        ratchet: SecretBytes,
        send: Chain,
        recv: Chain,
        recv_proven: int,
        created_at_s: int,
    ) -> None:
        self.number = number
        self.role = role
        self.transcript_hash = transcript_hash
        self.mac = mac
        self.ratchet = ratchet
        self.send = send
        self.recv = recv
        self.recv_proven = recv_proven
        self.created_at_s = created_at_s
        self.send_prefix = encode_prefix(kind, chat_id, number, role)
        self.recv_prefix = encode_prefix(kind, chat_id, number, role.peer)
        self.peer_proved = role is Role.RESPONDER or recv_proven > 0

    @classmethod
    def begin(
        cls, kind: ChannelKind, chat_id: ChatId, hash_id: HashId, number: int, role: Role, keys: EpochKeys, now: float
    ) -> Epoch:
        """A new epoch at position 0; it takes over `mac` and `ratchet` of `keys` and wipes the rest."""
        send, recv = (keys.i2r, keys.r2i) if role is Role.INITIATOR else (keys.r2i, keys.i2r)
        epoch = cls(
            kind=kind,
            chat_id=chat_id,
            number=number,
            role=role,
            transcript_hash=keys.transcript_hash,
            mac=keys.mac,
            ratchet=keys.ratchet,
            send=Chain(hash_id, send),
            recv=Chain(hash_id, recv),
            recv_proven=0,
            created_at_s=int(now),
        )
        send.wipe()
        recv.wipe()
        return epoch

    @classmethod
    def restore(cls, kind: ChannelKind, chat_id: ChatId, hash_id: HashId, snapshot: EpochSnapshot) -> Epoch:
        """Both directions resume at their reserved positions. Secrets are copied; the caller wipes the snapshot."""
        return cls(
            kind=kind,
            chat_id=chat_id,
            number=snapshot.epoch,
            role=snapshot.role,
            transcript_hash=snapshot.transcript_hash,
            mac=snapshot.mac.copy(),
            ratchet=snapshot.ratchet.copy(),
            send=Chain(hash_id, snapshot.send.chain_key, snapshot.send.reserved),
            recv=Chain(hash_id, snapshot.recv.chain_key, snapshot.recv.reserved),
            recv_proven=snapshot.recv_proven,
            created_at_s=snapshot.created_at_s,
        )

    def snapshot(self, *, confirmed: bool) -> EpochSnapshot:
        return EpochSnapshot(
            epoch=self.number,
            role=self.role,
            transcript_hash=self.transcript_hash,
            confirmed=confirmed,
            mac=self.mac.copy(),
            ratchet=self.ratchet.copy(),
            send=self.send.snapshot(),
            recv=self.recv.snapshot(),
            recv_proven=self.recv_proven,
            created_at_s=self.created_at_s,
        )

    def claim(self, tag: bytes) -> EpochClaim:
        return EpochClaim(self.number, self.transcript_hash, self.send.next, self.recv.next, self.recv_proven, tag)

    def wipe(self) -> None:
        self.mac.wipe()
        self.ratchet.wipe()
        self.send.wipe()
        self.recv.wipe()
