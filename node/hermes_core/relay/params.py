"""Bounds and times of a node's chats, with units and reasons; the node fills them from its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_core.limits import WINDOW_MESSAGES
from hermes_core.ratchet.channel import ChannelParams


@dataclass(frozen=True, slots=True)
class ChatParams:
    """The node's chats. Times in seconds."""

    channel: ChannelParams = field(default_factory=ChannelParams)
    window_messages: int = WINDOW_MESSAGES
    handshake_timeout_s: float = 30.0
    """A first handshake or a rekey that has not come through by then is dropped."""
    idle_timeout_s: float = 30 * 86400.0
    """A chat without a frame for this long ends with EXPIRED."""
    churn_grace_s: float = 300.0
    """A chat whose other node is dead for this long ends with ROUTE_UNAVAILABLE."""
    max_key_lifetime_s: float = 7 * 86400.0
    """Bounds what an old whole image of the volume opens; past it the apps get REKEY_REQUIRED."""
    max_key_messages: int = 1_000_000
    rekey_grace_s: float = 300.0
    """From the first REKEY_REQUIRED until the chat ends with RATCHET_FAILED."""
    rekey_burst: int = 5
    rekey_refill_s: float = 10.0
    """Time for one more rekey of a chat; an app gets `rekey_app_factor` times as many over all its chats."""
    rekey_app_factor: int = 20
    max_chats: int = 200_000
    max_chats_per_app: int = 10_000
    max_handshakes_per_app: int = 200
    """First handshakes that wait for an answer, both those an app began and those it was offered; also the throttle's burst."""
    handshake_refill_s: float = 0.1
    """Time for one more first handshake of an app."""
    tombstone_ttl_s: float = 30 * 86400.0
    """A notice nobody came back for is dropped after this long."""
    max_tombstones: int = 200_000
    """Beyond this the oldest notice is dropped."""
    resume_batch: int = 512
    """Resumes sent to a peer before other work gets its turn: a peer that comes back must not stall the node."""
    resume_retry_s: float = 10.0
    """A resume that was not answered is sent again after this long."""
