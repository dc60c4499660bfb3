"""No key and nonce for two plaintexts: of all frames that were ever sealed, no two were with one message key and one nonce."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes_core.ids import ChannelKind
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.loop import Process
    from tests.simulation.world import World


class NoKeyForTwoPlaintexts(Invariant):
    """Whether a frame left or not, and whatever came back from a backup: a later start has other nonces.

    What an app keeps is sent again as the same bytes, so that a nonce of its which outlives a start is told by itself.
    """

    name = "no key and nonce for two plaintexts"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._made: dict[tuple[bytes, bytes], tuple[bytes, str]] = {}
        self._starts: dict[bytes, str] = {}

    def sealed(self, process: Process | None, key: bytes, nonce: bytes, frame: bytes) -> None:
        by = "nobody" if process is None else process.name
        former = self._made.setdefault((key, nonce), (frame, by))
        if former[0] != frame:
            self.violate(f"{by} sealed a frame with the key and the nonce of another that {former[1]} had sealed")
        if frame[1] == ChannelKind.END_TO_END and self._starts.setdefault(nonce, by) != by:
            self.violate(f"{by} seals content with the nonce of {self._starts[nonce]}")
