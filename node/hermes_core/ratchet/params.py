"""The parameters of a channel, validated once."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.crypto.hashing import HashId


@dataclass(frozen=True, slots=True)
class ChannelParams(Limited):
    """LimitError, which is a ValueError, names the field that is out of bounds.

    `window` 1 is strict: one commit per message.
    """

    hash_id: HashId = HashId[default(limits.Hash).upper()]
    window: limits.Window = default(limits.Window)
    max_skip: limits.MaxSkip = default(limits.MaxSkip)
    overlap_s: limits.OverlapS = default(limits.OverlapS)
