"""What befalls a machine of a kind cluster: it stands still, reboots, or is lost for good with all it stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import Engine

HALT_S = 1
"""An orderly shutdown gets so long, then the power is off: a machine that reboots by itself asks nobody."""


@dataclass(frozen=True)
class Machines:
    """The machines of a cluster, by the names of its nodes."""

    engine: Engine

    def freeze(self, name: str) -> None:
        """Every process of it stands still, as under a hypervisor that moves it."""
        self.engine.run("pause", name)

    def thaw(self, name: str) -> None:
        """They go on."""
        self.engine.run("unpause", name)

    def reboot(self, name: str) -> None:
        """It halts and starts again, its disks as they were."""
        self.engine.run("restart", "--time", str(HALT_S), name)

    def lose(self, name: str) -> None:
        """It is gone, and its disks with it."""
        self.engine.run("rm", "--force", "--volumes", name)
