"""What every chat of an app is given: who the app is, its bounds, where effects go; and the stream to a home node."""

from __future__ import annotations

from dataclasses import field

from hermes_core.crypto.mlkem import Kem
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.output import Effects
from hermes_core.endpoint.params import AppParams
from hermes_core.ids import AppId, NodeId, Party, node_party
from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class ChatContext:
    """`content_nonce`: 12 bytes, of everything that this start of the app seals end to end.

    `durable`: the owner keeps what changes, so that chats outlive this start.
    """

    identity: Identity
    app_id: AppId
    party: Party
    params: AppParams
    random: RandomSource
    kem: Kem
    effects: Effects
    content_nonce: bytes
    durable: bool = False


@dataclass(frozen=True, slots=True)
class HomeStream:
    """The stream to a node that proved its identity, with this session binding.

    `send_nonce` and `receive_nonce` (12 bytes each) are those of every frame that a leg sends or gets over it.
    `ahead_s`: how far Unix time is ahead of the time that the machine is given.
    """

    node_id: NodeId
    public_key: bytes
    binding: bytes
    send_nonce: bytes
    receive_nonce: bytes
    ahead_s: float
    party: Party = field(init=False)
    """Named once: every message that comes is held against it, and a fingerprint is a hash."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "party", node_party(self.node_id, self.public_key))
