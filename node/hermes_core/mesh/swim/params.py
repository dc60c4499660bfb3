"""Times and bounds of SWIM: multiples of the probe period, and bounds on what others can make a node hold or do."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SwimParams:
    """What a node probes by, and how much it takes from others. Times: seconds, or probe periods where a name says so."""

    period_s: float = 1.0
    direct_share: float = 0.4
    """Of the period: how long a direct probe has before others are asked to try."""
    nack_share: float = 0.4
    """Of the period: when who was asked says that it has no answer; the rest of the period is the way back."""
    helpers: int = 3
    """Others that are asked to probe a member that did not answer."""
    max_health: int = 8
    """How far local health can stretch the period."""
    stale_commit_s: float = 2.0

    suspicion_min: float = 4.0
    """Times log10(n), in periods: how long a suspicion stands that others confirmed."""
    suspicion_max: float = 6.0
    """Times the minimum: how long one stands that nobody confirmed."""
    confirmations: int = 3
    burial_periods: float = 3.0
    """How long the last probe before death waits: a member that is slow is not dead."""
    max_burials: int = 32
    """Probes at the end of suspicions that are under way at once; the others wait for the next period."""

    retransmit: float = 4.0
    """Lambda: a fact is told lambda log10(n) times."""
    facts_a_probe: int = 32
    facts_a_message: int = 256

    sync_periods: float = 10.0
    entries_a_message: int = 1_024
    verify_periods: float = 4.0
    """How often a member that is known by hearsay alone is linked with, to pin its key."""
    rescue_periods: float = 10.0
    """How often a dead member is tried again: halves that buried each other find together by that."""
    tidy_periods: float = 10.0

    max_members: int = 1_024
    evict_after_s: float = 3_600.0
    max_pins: int = 4_096
    max_links: int = 64
    max_waiting: int = 32
    """Messages that wait for one link."""
    backoff_periods: float = 1.0
    max_backoff_periods: float = 64.0

    rumours_a_sender: int = 256
    """Names that a sender brought and nobody else vouched for yet."""
    failed_rumours: int = 8
    """Of one sender, that could not be linked; one is forgiven every minute."""
    recheck_s: float = 60.0
    """A name is checked at most once in this time."""
    spread_s: float = 60.0
    """A changed key is checked at a time drawn from this, so that not all knock at once."""

    open_accusations: int = 16
    """Of one accuser."""
    blame_s: float = 60.0
    """For how long a wrong accusation counts; who came up here within this time could not know better, and is not blamed."""
    requests_a_sender: int = 8
    """Indirect probes under way for one member, and signed answers that it gets in a burst."""
    updates_a_subject: int = 8
    """New descriptors of one subject in a burst; one more every ten periods."""

    def log(self, members: int) -> float:
        """The logarithm that times and transmissions grow by; 1 up to ten members."""
        return max(1.0, math.log10(max(members, 1)))

    def suspicion_s(self, members: int, confirmed: int) -> float:
        """How long a suspicion stands that so many others confirmed (Lifeguard, section 4.2)."""
        low = self.suspicion_min * self.log(members) * self.period_s
        high = self.suspicion_max * low
        expected = min(self.confirmations, members - 2)  # neither its subject confirms it, nor this member itself
        share = math.log(confirmed + 1) / math.log(expected + 1) if expected > 0 else 1.0
        return max(low, high - (high - low) * share)

    def transmissions(self, members: int) -> int:
        return math.ceil(self.retransmit * self.log(members))
