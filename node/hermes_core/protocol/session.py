"""What an app's stream carries besides chats: challenge, connect, lookups, heartbeats; hermes_wire translates them."""

from __future__ import annotations

from hermes_core.ids import AppId, NodeId, Party
from hermes_core.values import dataclass

CHALLENGE_BYTES = 32
NONCE_BYTES = 32
MAX_SUITES = 16


@dataclass(frozen=True, slots=True)
class Challenge:
    """The node's first frame: its id, its Ed25519 public key (32 bytes), 32 random bytes that serve one `Connect`.

    `ephemeral`: X25519, 32 bytes. `suites`: those it knows, one byte each, the preferred first. `renewals` of its key prove
    themselves (hermes_core.handshake.renewal).
    """

    node_id: NodeId
    node_key: bytes
    challenge: bytes
    ephemeral: bytes
    suites: bytes
    renewals: bytes = b""


@dataclass(frozen=True, slots=True)
class Connect:
    """The app's answer: its Ed25519 public key (32 bytes), 32 random bytes, its ephemeral (32 bytes), the suite it picked.

    `stamp`: when it connects, in ms since 1970, rising. `signature`: 64 bytes. `mark`: the highest that it holds of this node
    (hermes_core.keystore.mark), empty when it holds none.
    """

    app_key: bytes
    nonce: bytes
    ephemeral: bytes
    suite: int
    stamp: int
    signature: bytes
    mark: bytes = b""


@dataclass(frozen=True, slots=True)
class Connected:
    """The node took the app in; what it expects of the stream from now on, signed (64 bytes) with the whole handshake.

    `mark`: where its keystore stands (hermes_core.keystore.mark), for the app to hand back; empty when it has none.
    """

    app_id: AppId
    heartbeat_interval_ms: int
    max_frame_bytes: int
    window_frames: int
    signature: bytes = b""
    mark: bytes = b""


@dataclass(frozen=True, slots=True)
class AppClaim:
    """What of a Connect proves to anybody that the app went to a node, and when.

    Its key (32 bytes), stamp (ms since 1970), the SHA-256 of the hello, its signature (64). Which node is known from context.
    """

    app_key: bytes
    stamp: int
    hello_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class NewerHome:
    """Why a Connect is refused: the app connected to `home` with a higher stamp."""

    home: Party
    claim: AppClaim


@dataclass(frozen=True, slots=True)
class SeekHome:
    """Where do apps reach the node of this party? Asked before anything is proved."""

    home: Party


@dataclass(frozen=True, slots=True)
class FindApp:
    app_id: AppId


@dataclass(frozen=True, slots=True)
class AppFound:
    """`node_id`: where the app is, or was last when it is not online; None when the node never heard of it."""

    app_id: AppId
    online: bool
    node_id: NodeId | None


@dataclass(frozen=True, slots=True)
class NodeChange:
    """The node leaves in `drain_after_ms`: connect to another one meanwhile; its chats resume when it is back.

    `back_within_ms`: by when it says that it is back; 0: it promises nothing. `for_good`: it does not come back, and its chats
    move while it still serves.
    """

    drain_after_ms: int
    back_within_ms: int = 0
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`reply` True answers the heartbeat with this sequence."""

    sequence: int
    reply: bool


SessionMessage = Challenge | Connect | Connected | NewerHome | SeekHome | FindApp | AppFound | NodeChange | Heartbeat
