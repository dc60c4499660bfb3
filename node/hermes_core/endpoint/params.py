"""Bounds and times of an app's chats, with units and reasons; the client fills them from its options."""

from __future__ import annotations

from dataclasses import dataclass, field

from hermes_core.limits import WINDOW_BYTES, WINDOW_MESSAGES
from hermes_core.ratchet.channel import ChannelParams


def _end_to_end_params() -> ChannelParams:
    # Frames are opened in the order of their seq, so a skipped message key would never be used: keep none.
    return ChannelParams(max_skipped_keys=0)


@dataclass(frozen=True, slots=True)
class AppParams:
    """An app's chats. Times in seconds."""

    leg: ChannelParams = field(default_factory=ChannelParams)
    end_to_end: ChannelParams = field(default_factory=_end_to_end_params)
    window_messages: int = WINDOW_MESSAGES
    window_bytes: int = WINDOW_BYTES
    max_chats: int = 10_000
    handshake_timeout_s: float = 30.0
    """A chat nobody answered, or a rekey that did not come through, is given up after this long."""
    ready_timeout_s: float = 120.0
    """An accepted chat whose initiator never confirmed ends after this long."""
    retransmit_s: float = 5.0
    """First wait for an acknowledgement before everything unacknowledged is sent again; doubles up to the maximum."""
    retransmit_max_s: float = 60.0
    resume_retry_s: float = 10.0
    rekey_retry_s: float = 5.0
    """A rekey the node asked for is tried again after this long; doubles up to `retransmit_max_s`."""
