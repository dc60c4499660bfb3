"""No key and nonce for two plaintexts: of all frames that ever leave a process, no two were sealed with one message key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.protocol.messages import Sealed
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World


class NoKeyForTwoPlaintexts(Invariant):
    """A node may seal a frame that dies with it, before its commit: what never left nobody has seen. An app keeps no keys."""

    name = "no key and nonce for two plaintexts"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._keys: dict[bytes, bytes] = {}
        self._left: dict[bytes, tuple[bytes, str]] = {}

    def sealed(self, process: Process | None, key: bytes, frame: bytes) -> None:
        if process is None or not self.world.is_node(process):
            self._leaves(key, frame, "an app")
        else:
            self._keys[frame] = key

    def written(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        for message in messages:
            if type(message) is Sealed and message.frame in self._keys:
                self._leaves(self._keys[message.frame], message.frame, f"{process.name} on {stream}")

    def _leaves(self, key: bytes, frame: bytes, by: str) -> None:
        former = self._left.setdefault(key, (frame, by))
        if former[0] != frame:
            self.violate(f"{by} sent a frame under a key that {former[1]} had used for another")
