"""Bounds and times of a node's streams and chats; the node fills them from its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.ratchet.params import ChannelParams


@dataclass(frozen=True, slots=True)
class ChatParams(Limited):
    """The node's chats; `hermes_core.limits` says what each field means. LimitError names one that is out of bounds."""

    channel: ChannelParams = field(default_factory=ChannelParams)
    window_messages: limits.WindowMessages = default(limits.WindowMessages)
    handshake_timeout_s: limits.HandshakeTimeoutS = default(limits.HandshakeTimeoutS)
    idle_timeout_s: limits.IdleTimeoutS = default(limits.IdleTimeoutS)
    max_key_lifetime_s: limits.MaxKeyLifetimeS = default(limits.MaxKeyLifetimeS)
    max_key_messages: limits.MaxKeyMessages = default(limits.MaxKeyMessages)
    rekey_grace_s: limits.RekeyGraceS = default(limits.RekeyGraceS)
    rekey_burst: limits.RekeyBurst = default(limits.RekeyBurst)
    rekey_refill_s: limits.RekeyRefillS = default(limits.RekeyRefillS)
    rekey_app_factor: limits.RekeyAppFactor = default(limits.RekeyAppFactor)
    max_chats: limits.MaxChats = default(limits.MaxChats)
    max_chats_per_app: limits.MaxChatsPerApp = default(limits.MaxChatsPerApp)
    max_handshakes_per_app: limits.MaxHandshakesPerApp = default(limits.MaxHandshakesPerApp)
    handshake_refill_s: limits.HandshakeRefillS = default(limits.HandshakeRefillS)
    tombstone_ttl_s: limits.TombstoneTtlS = default(limits.TombstoneTtlS)
    max_tombstones: limits.MaxTombstones = default(limits.MaxTombstones)
    resume_batch: limits.ResumeBatch = default(limits.ResumeBatch)
    resume_retry_s: limits.ResumeRetryS = default(limits.ResumeRetryS)


@dataclass(frozen=True, slots=True)
class SessionParams(Limited):
    """Apps' streams; `window_frames` is what an app is told of the node's reservations. LimitError as in ChatParams."""

    heartbeat_interval_s: limits.AppHeartbeatIntervalS = default(limits.AppHeartbeatIntervalS)
    connect_timeout_s: limits.ConnectTimeoutS = default(limits.ConnectTimeoutS)
    max_sessions: limits.MaxSessions = default(limits.MaxSessions)
    max_unauthenticated_streams: limits.MaxUnauthenticatedStreams = default(limits.MaxUnauthenticatedStreams)
    max_invalid_batches: limits.MaxInvalidBatches = default(limits.MaxInvalidBatches)
    window_frames: limits.Window = default(limits.Window)
