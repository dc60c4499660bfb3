"""What a channel persists: plain snapshots, the only thing the keystore's record format has to know of a ratchet."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.suites import Suite
from hermes_core.ids import ChannelKind, Party, Role
from hermes_core.values import dataclass


@dataclass(slots=True)
class DirectionSnapshot:
    """One direction: the reserved position and the chain key (32 bytes) at it."""

    reserved: int
    chain_key: SecretBytes


@dataclass(slots=True)
class EpochSnapshot:
    """One epoch of a channel. `confirmed` is False while it is pending (docs/reference/protocol.md, Resume)."""

    epoch: int
    role: Role
    suite: Suite
    transcript_hash: bytes
    confirmed: bool
    mac: SecretBytes
    ratchet: SecretBytes
    send: DirectionSnapshot
    recv: DirectionSnapshot
    recv_proven: int
    created_at_s: int


@dataclass(frozen=True, slots=True)
class Orders:
    """The highest order of an offer that we sent, and of one of the peer's that we answered; 0: none."""

    sent: int
    seen: int


NO_ORDERS: Final = Orders(0, 0)
"""Of a channel before its first offer."""


@dataclass(slots=True)
class ChannelSnapshot:
    """One channel: its parties, the epoch in use, the pending one, and what must not be taken a second time.

    That is key ids of ephemerals already seen (16 bytes each), and the orders of offers. `floor`: the suite of an epoch that
    was forgotten, below which the channel does not begin anew; None while none was.
    """

    kind: ChannelKind
    local: Party
    peer: Party
    peer_public_key: bytes
    current: EpochSnapshot | None
    pending: EpochSnapshot | None
    seen_ephemerals: tuple[bytes, ...]
    orders: Orders
    floor: Suite | None


def wipe_epoch(epoch: EpochSnapshot) -> None:
    """Wipe every secret of an epoch snapshot."""
    for secret in (epoch.mac, epoch.ratchet, epoch.send.chain_key, epoch.recv.chain_key):
        secret.wipe()


def wipe_channel(channel: ChannelSnapshot) -> None:
    """Wipe every secret of a channel snapshot."""
    for epoch in (channel.current, channel.pending):
        if epoch is not None:
            wipe_epoch(epoch)
