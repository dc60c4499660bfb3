"""One epoch of a channel: its keys, its two chains, and what the peer has proven in it."""

from __future__ import annotations

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.suites import Suite
from hermes_core.handshake.key_schedule import EpochKeys
from hermes_core.ids import Role
from hermes_core.ratchet.chain import Chain
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.header import encode_prefix
from hermes_core.ratchet.state import EpochSnapshot


class Epoch:
    """`recv_proven` is one more than the highest position authenticated.

    `in_step`: both ends have agreed on the positions on the stream that stands, and every frame since has been opened. Then the
    transport's order says which position comes next, and one beyond it cannot be honest.
    """

    __slots__ = (
        "_proved", "created_at_s", "in_step", "mac", "number", "ratchet", "recv", "recv_prefix", "recv_proven", "role", "send",
        "send_prefix", "suite", "transcript_hash",
    )  # fmt: skip

    def __init__(
        self,
        *,
        context: ChannelContext,
        number: int,
        role: Role,
        suite: Suite,
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
        self.suite = suite
        self.transcript_hash = transcript_hash
        self.mac = mac
        self.ratchet = ratchet
        self.send = send
        self.recv = recv
        self.recv_proven = recv_proven
        self.created_at_s = created_at_s
        self.send_prefix = encode_prefix(context.kind, context.chat_id, number, role)
        self.recv_prefix = encode_prefix(context.kind, context.chat_id, number, role.peer)
        self._proved = False
        self.in_step = False

    @classmethod
    def begin(cls, context: ChannelContext, number: int, role: Role, keys: EpochKeys, now: float) -> Epoch:
        """A new epoch at position 0; it takes over `mac` and `ratchet` of `keys` and wipes the rest."""
        send, recv = (keys.i2r, keys.r2i) if role is Role.INITIATOR else (keys.r2i, keys.i2r)
        epoch = cls(
            context=context,
            number=number,
            role=role,
            suite=keys.suite,
            transcript_hash=keys.transcript_hash,
            mac=keys.mac,
            ratchet=keys.ratchet,
            send=Chain(keys.suite.hash_id, send),
            recv=Chain(keys.suite.hash_id, recv),
            recv_proven=0,
            created_at_s=int(now),
        )
        epoch.agree_on_positions()  # both begin at 0
        send.wipe()
        recv.wipe()
        return epoch

    @classmethod
    def restore(cls, context: ChannelContext, snapshot: EpochSnapshot) -> Epoch:
        """Both directions resume at their reserved positions. Secrets are copied; the caller wipes the snapshot."""
        return cls(
            context=context,
            number=snapshot.epoch,
            role=snapshot.role,
            suite=snapshot.suite,
            transcript_hash=snapshot.transcript_hash,
            mac=snapshot.mac.copy(),
            ratchet=snapshot.ratchet.copy(),
            send=Chain(snapshot.suite.hash_id, snapshot.send.chain_key, snapshot.send.reserved),
            recv=Chain(snapshot.suite.hash_id, snapshot.recv.chain_key, snapshot.recv.reserved),
            recv_proven=snapshot.recv_proven,
            created_at_s=snapshot.created_at_s,
        )

    def snapshot(self, *, confirmed: bool) -> EpochSnapshot:
        return EpochSnapshot(
            epoch=self.number,
            role=self.role,
            suite=self.suite,
            transcript_hash=self.transcript_hash,
            confirmed=confirmed,
            mac=self.mac.copy(),
            ratchet=self.ratchet.copy(),
            send=self.send.snapshot(),
            recv=self.recv.snapshot(),
            recv_proven=self.recv_proven,
            created_at_s=self.created_at_s,
        )

    @property
    def peer_proved(self) -> bool:
        """The peer uses this epoch: it offered it, a frame or an acknowledgement came in it, or a stream was taken up in it."""
        return self.role is Role.RESPONDER or self.recv_proven > 0 or self._proved

    def accept(self, position: int) -> None:
        """The frame at this position, not below `recv.next`, was authentic."""
        self.recv.advance(position)
        self.recv_proven = position + 1

    def agree_on_positions(self) -> None:
        """Both ends know which position comes next on the stream that stands."""
        self.in_step = True

    def lose_step(self) -> None:
        """A frame was refused unopened, or the stream is gone."""
        self.in_step = False

    def prove(self) -> None:
        """The peer has shown otherwise than by a frame that it uses this epoch."""
        self._proved = True

    def fast_forward(self, claim: EpochClaim) -> bool:
        """Never lower a position, never use one that the peer has seen; True when another reservation is relied on."""
        relied_on = (self.send.relied_on, self.recv.relied_on)
        self.send.fast_forward(claim.recv_next)
        self.recv.fast_forward(claim.send_next)
        self.prove()
        self.agree_on_positions()
        return relied_on != (self.send.relied_on, self.recv.relied_on)

    def claim(self, order: int, tag: bytes) -> EpochClaim:
        positions = self.send.next, self.recv.next, self.recv_proven
        return EpochClaim(self.number, self.suite, self.transcript_hash, *positions, order, tag)

    def wipe(self) -> None:
        self.mac.wipe()
        self.ratchet.wipe()
        self.send.wipe()
        self.recv.wipe()
