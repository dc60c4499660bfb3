"""Bounds and times of membership; the node fills them from its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core import limits
from hermes_core.bounds import Limited, default

SUSPECT_SHARE: Final = 0.5
"""A peer silent for this share of `dead_after_s` is suspect."""


@dataclass(frozen=True, slots=True)
class MeshParams(Limited):
    """`hermes_core.limits` says what each field means. LimitError names one that is out of bounds."""

    heartbeat_interval_s: limits.MeshHeartbeatIntervalS = default(limits.MeshHeartbeatIntervalS)
    suspect_after_s: float = SUSPECT_SHARE * default(limits.DeadAfterS)
    dead_after_s: limits.DeadAfterS = default(limits.DeadAfterS)
    evict_after_s: limits.EvictAfterS = default(limits.EvictAfterS)
    max_members: limits.MaxPeers = default(limits.MaxPeers)
