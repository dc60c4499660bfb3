"""Wiped means wiped: of a node that stopped in order no secret is left in memory."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hermes_core.crypto.secret import SecretBytes
    from tests.simulation.loop import Process
    from tests.simulation.world import World


class StoppedMeansWiped(Invariant):
    name = "stopped means wiped"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._made: dict[str, list[weakref.ref[SecretBytes]]] = {}

    def secret_made(self, process: Process | None, secret: SecretBytes) -> None:
        if process is not None:
            self._made.setdefault(process.name, []).append(weakref.ref(secret))

    def process_ended(self, process: Process, exit_code: int, reason: str) -> None:
        held = [secret for made in self._made.pop(process.name, []) if (secret := made()) is not None and not secret.wiped]
        if held and not exit_code:
            self.violate(f"{process.name} stopped and holds {len(held)} secrets")
