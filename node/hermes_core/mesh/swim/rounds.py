"""What comes round besides probes: links that pin a name or check a rumour, tries to reach the dead, forgetting."""

from __future__ import annotations

from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.parts import SwimParts


class Rounds:
    """The owner of when each is due. One link a period at most is dialled for them."""

    __slots__ = ("_parts", "_rescue", "_tidy", "_verify")

    def __init__(self, parts: SwimParts, now: float) -> None:
        self._parts = parts
        self._verify = self._rescue = self._tidy = now

    def tick(self, now: float) -> None:
        params = self._parts.params
        if self._check_rumour(now):
            return
        if now >= self._rescue and self._rescue_dead(now):
            self._rescue = now + self._parts.draw_time(0.5, 1.5) * params.rescue_periods * params.period_s
        elif now >= self._verify and self._verify_key(now):
            self._verify = now + self._parts.draw_time(0.5, 1.5) * params.verify_periods * params.period_s

    def take_tidy(self, now: float) -> bool:
        """Whether it is time to forget; does so in the parts that decide nothing themselves."""
        parts = self._parts
        if now < self._tidy:
            return False
        self._tidy = now + parts.params.tidy_periods * parts.params.period_s
        for node_id in parts.roster.list_overdue(now):
            parts.suspicions.end(node_id)
            parts.roster.forget(node_id)
        parts.accusers.tidy(now)
        parts.rumours.tidy(now)
        parts.updates.tidy(now)
        parts.naming.tidy(now)
        parts.links.tidy(now)
        return True

    def _check_rumour(self, now: float) -> bool:
        rumour = self._parts.rumours.take_due(now)
        if rumour is None:
            return False
        if not self._parts.links.can_dial(rumour.descriptor.address, now):
            self._parts.rumours.refuse(rumour.descriptor.node_id, now)
            return False
        self._parts.links.dial(rumour.descriptor)
        return True

    def _rescue_dead(self, now: float) -> bool:
        """Halves that buried each other come together by this."""
        parts = self._parts
        dead = [m.descriptor for m in parts.roster if m.state is MemberState.DEAD]
        dead = [d for d in dead if parts.links.can_dial(d.address, now)]
        if dead:
            parts.links.dial(dead[parts.draw(len(dead))])
        return bool(dead)

    def _verify_key(self, now: float) -> bool:
        parts = self._parts
        unsure = [
            m.descriptor for m in parts.roster if m.is_up and not parts.pins.holds(m.descriptor.node_id, m.descriptor.node_key)
        ]
        unsure = [d for d in unsure if parts.links.can_dial(d.address, now)]
        if unsure:
            parts.links.dial(unsure[parts.draw(len(unsure))])
        return bool(unsure)
