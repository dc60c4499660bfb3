"""Bounds and times of an app's chats; the client fills them from its options."""

from __future__ import annotations

from dataclasses import field

from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.ratchet.params import ChannelParams
from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class AppParams(Limited):
    """An app's chats; `hermes_core.limits` says what each field means. LimitError names one that is out of bounds."""

    leg: ChannelParams = field(default_factory=ChannelParams)
    end_to_end: ChannelParams = field(default_factory=ChannelParams)
    window_messages: limits.WindowMessages = default(limits.WindowMessages)
    window_bytes: limits.WindowBytes = default(limits.WindowBytes)
    padding: bool = True
    """Frames are padded, so that their size says less of what is in them; without it they show the length of each message."""
    max_chats: limits.MaxChatsPerApp = default(limits.MaxChatsPerApp)
    max_offers: limits.MaxOffers = default(limits.MaxOffers)
    handshake_timeout_s: limits.HandshakeTimeoutS = default(limits.HandshakeTimeoutS)
    ready_timeout_s: limits.ReadyTimeoutS = default(limits.ReadyTimeoutS)
    no_common_epoch_s: limits.NoCommonEpochS = default(limits.NoCommonEpochS)
    retransmit_s: limits.RetransmitS = default(limits.RetransmitS)
    retransmit_max_s: limits.RetransmitMaxS = default(limits.RetransmitMaxS)
    resume_retry_s: limits.ResumeRetryS = default(limits.ResumeRetryS)
    rekey_retry_s: limits.RekeyRetryS = default(limits.RekeyRetryS)
    idle_timeout_s: limits.IdleTimeoutS = default(limits.IdleTimeoutS)
    """Of the nodes: a chat that ended, and whose home was never reached again, is not told for longer."""
    home_patience_s: limits.HomePatienceS = default(limits.HomePatienceS)
