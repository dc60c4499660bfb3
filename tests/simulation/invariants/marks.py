"""A node that is an older copy of itself learns it from whoever proves it, before that one is in; and no other node does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.keystore.lineage import MarkVerdict, judge_mark
from hermes_core.keystore.mark import read_mark
from hermes_core.keystore.rollback import parse_rollback
from hermes_core.protocol.session import Connect, Connected
from hermes_keystore.history import ROLLBACK
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_keystore import Keystore
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World


class MarksAreJudged(Invariant):
    """The judge is the product's own (tests/unit/hermes_core/keystore/test_lineage.py): this asks when it is asked."""

    name = "an older copy is noticed by what apps hold, and no other is"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._keystores: dict[str, Keystore] = {}
        self._handed_back: dict[int, bytes] = {}

    def keystore_opened(self, process: Process, keystore: Keystore) -> None:
        self._keystores[process.name] = keystore

    def app_wrote(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Connect) and message.mark:
                self._handed_back[stream.number] = message.mark

    def written(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        for message in messages:
            mark = self._handed_back.pop(stream.number, b"") if isinstance(message, Connected) else b""
            if not mark:
                continue
            node_key, held = read_mark(message.mark).node_key, read_mark(mark)
            keystore = self._keystores[process.name]
            lineage = keystore._begun.lineage
            keys = {node_key} | lineage.former_keys
            if judge_mark(lineage, keystore.mark.commit_counter, keys, held)[0] is MarkVerdict.ROLLED_BACK:
                self.violate(
                    f"{process.name} took in {stream.dialler.name}, whose mark of commit {held.commit_counter} it did not judge"
                )

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        if ROLLBACK in puts and not self.world.machine(process.machine).rollbacks:
            self.violate(f"{process.name} was never put back, and says: {parse_rollback(puts[ROLLBACK]).detail}")
