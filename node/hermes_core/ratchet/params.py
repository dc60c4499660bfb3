"""The parameters of a channel, validated once."""

from __future__ import annotations

from typing import Final

from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.crypto.suites import Suite
from hermes_core.ids import ChannelKind
from hermes_core.values import dataclass

HOP_SUITES: Final = tuple(map(Suite.named, default(limits.Suites)))
DEFAULT_SUITES: Final[dict[ChannelKind, tuple[Suite, ...]]] = {
    # Content is what is worth recording: hybrid first, and any other for a peer that has none.
    ChannelKind.END_TO_END: (
        Suite.X25519_MLKEM768_SHA256,
        Suite.X25519_MLKEM768_SHA512,
        Suite.X25519_SHA256,
        Suite.X25519_SHA512,
    ),
    ChannelKind.LEG: HOP_SUITES,
    ChannelKind.TIELINE: HOP_SUITES,
}


@dataclass(frozen=True, slots=True)
class ChannelParams(Limited):
    """LimitError, which is a ValueError, names the field that is out of bounds.

    `window` 1 is strict: one commit per message. `suites`: those that this end allows, the preferred first; empty: those of
    `DEFAULT_SUITES` for the channel's kind.
    """

    suites: tuple[Suite, ...] = ()
    window: limits.Window = default(limits.Window)
    max_skip: limits.MaxSkip = default(limits.MaxSkip)
    overlap_s: limits.OverlapS = default(limits.OverlapS)
