"""After everything was healed, every live chat is up, and everything that was sent has arrived and is acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.ledger import ChatEntry


class PathsComeUp(Invariant):
    name = "the path is up, and everything arrives, once all is healed"

    def at_rest(self) -> None:
        for entry in self.world.ledger.live():
            self._look(entry)

    def _look(self, entry: ChatEntry) -> None:
        for app_id, chat in entry.handles.items():
            peer = entry.peer_of(app_id)
            sent, received = entry.sent.get(app_id, 0), entry.received.get(peer, 0)
            if not chat.up:
                self.violate(f"chat {entry.plan.number}: the path of {self.world.app_name(app_id)} is down")
            if sent != received:
                self.violate(f"chat {entry.plan.number}: {self.world.app_name(app_id)} sent {sent}, {received} arrived")
            elif chat.unacknowledged:
                self.violate(f"chat {entry.plan.number}: {chat.unacknowledged} are not acknowledged")
