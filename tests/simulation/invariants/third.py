"""While two nodes do not reach each other and others reach both, what their apps say arrives through one of these.

Judged where nothing else strikes a node or one of these apps at that time: then nothing else could hold it up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_core.ids import AppId, ChatId
    from tests.simulation.schedule import Fault

BOUND_S: Final = 62.0
"""Three silent heartbeat intervals of 15 s until a stream is given up, and what it takes to find a third node."""
AFTER_S: Final = 20.0
"""What follows from a fault when it is over, until a node that was away is found."""
EVERYBODY: Final = "*"


class CutPairsGoOn(Invariant):
    name = "chats of a pair that is cut go on through a third node"

    def pair_cut(self, fault: Fault) -> None:
        if self.world.uses_swim and fault.for_s > BOUND_S:
            self.world.after(fault.for_s - BOUND_S, self._note, fault)

    def _note(self, fault: Fault) -> None:
        """What was said by now has the bound's time to arrive."""
        said = {
            (entry.chat_id, app_id): entry.sent.get(app_id, 0)
            for entry in self.world.ledger.live()
            for app_id in entry.apps
            if {self._home(app) for app in entry.apps} == {fault.target, fault.other}
        }
        self.world.after(BOUND_S - 1.0, self._look, fault, said)

    def _look(self, fault: Fault, said: dict[tuple[ChatId, AppId], int]) -> None:
        touched = self._list_touched(fault)
        if touched & {EVERYBODY, *(machine.name for machine in self.world.machines)}:
            return
        for (chat_id, app_id), last in said.items():
            entry = self.world.ledger.chats[chat_id]
            names = {self.world.app_name(app) for app in entry.apps}
            received = entry.received.get(entry.peer_of(app_id), 0)
            if received < last and len(entry.handles) == 2 and not names & touched:
                pair = f"{fault.target} and {fault.other}"
                self.violate(
                    f"chat {entry.plan.number} between {pair}: {last} were sent {BOUND_S:.0f} s ago, {received} arrived"
                )

    def _home(self, app_id: AppId) -> str:
        client = self.world.apps[self.world.app_name(app_id)].client
        return "" if client is None or client.home is None else client.home

    def _list_touched(self, cut: Fault) -> set[str]:
        """Whom other faults strike from when it began until now, or a short while before."""
        touched: set[str] = set()
        for fault in self.world.schedule.faults:
            if fault != cut and fault.at_s < cut.at_s + cut.for_s and fault.at_s + fault.for_s + AFTER_S > cut.at_s:
                touched |= {*fault.target.split(","), fault.other} - {""} or {EVERYBODY}
        return touched
