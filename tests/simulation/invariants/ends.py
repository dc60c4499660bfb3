"""Whatever ends says why: chats for the reason that holds, nodes only by what befell their disk, or a front as they started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hermes_core.protocol.messages import CloseReason
from tests.simulation.invariants.base import Invariant
from tests.simulation.old_volumes import ROLLBACKS
from tests.simulation.settings import HANDSHAKE_TIMEOUT_S

if TYPE_CHECKING:
    from hermes_core.ids import AppId
    from tests.simulation.ledger import ChatEntry
    from tests.simulation.loop import Process

OF_THE_DISK: Final = "KEYSTORE_"
"""How the line begins with which a node says that its disk failed: a code that people and the operator act on."""

OF_FRONTS: Final = ("FRONTS_FAILED: front ", ("signal 9", "unanswered"))
"""How it begins when a front did not come to serve, and what may have befallen that front."""

DELETED = frozenset({CloseReason.DELETED.name, CloseReason.DELETED_BY_PEER.name})

LOST = frozenset({CloseReason.STATE_LOST.name, CloseReason.RATCHET_FAILED.name})
"""What an app says whose store has forgotten the keys of a chat, and what its home makes of that for the other one."""


class EndsSayWhy(Invariant):
    name = "what ends says why"

    def process_ended(self, process: Process, exit_code: int, reason: str) -> None:
        explained = self.world.happened("fill_disk", "break_disk") and reason.startswith(OF_THE_DISK)
        if exit_code and not explained and not self._front_was_killed(reason):
            self.violate(f"{process.name} ended with {exit_code}: {reason}")

    def _front_was_killed(self, reason: str) -> bool:
        """As the node started: it ends, since most of what keeps a front from serving does not go by itself."""
        begin, befell = OF_FRONTS
        happened = self.world.happened("kill_front", "pause_front")
        return happened and reason.startswith(begin) and any(what in reason for what in befell)

    def at_rest(self) -> None:
        for entry in self.world.ledger.chats.values():
            for app_id, reason in entry.ends.items():
                if not self._never_was(entry, app_id, reason):
                    self._look(entry, self.world.app_name(app_id), reason)

    def _never_was(self, entry: ChatEntry, app_id: AppId, reason: str) -> bool:
        """An app that answered an offer, was killed and came back: the other one gave it up, and nothing was ever said."""
        killed = self.world.happened("crash_app", "kill_app_in_the_act", "cut_power_of_app", "lose_home_and_app")
        unused = not entry.sent.get(app_id) and not entry.received.get(app_id)
        return reason == CloseReason.ROUTE_UNAVAILABLE.name and killed and unused

    def _look(self, entry: ChatEntry, app: str, reason: str) -> None:
        if reason in DELETED:
            # A volume or a store that was put back brings back chats that are over: whoever knows deletes them.
            # And an app that comes by after the other one's end was told hears that it is over there.
            over = any(end not in DELETED for end in entry.ends.values())
            if not (entry.deleted or entry.put_back or over or self.world.happened(*ROLLBACKS)):
                self.violate(f"chat {entry.plan.number}: {app} was told {reason}, and nobody deleted it")
        elif reason == CloseReason.RATCHET_FAILED.name:
            # Or the other app was told that it is over, and does not have it any more.
            over = any(end not in {*DELETED, reason} for end in entry.ends.values())
            if not (entry.orphaned or entry.put_back or over):  # whose other app came back without it
                self.violate(f"chat {entry.plan.number}: {app} was told {reason}, and both apps had it")
        elif reason == CloseReason.EXPIRED.name:
            if self.world.longest_away_s < HANDSHAKE_TIMEOUT_S:  # a confirmation that nobody could carry in time
                self.violate(f"chat {entry.plan.number}: {app} was told {reason}, and its handshake was not held up that long")
        elif reason in LOST:
            if not entry.put_back:
                self.violate(f"chat {entry.plan.number}: {app} was told {reason}, and no store of theirs was put back")
        elif reason != "client closed":
            self.violate(f"chat {entry.plan.number}: {app} was told {reason}")
