"""Ending an engine and its nodes, also after a crash: exactly what belongs to the run folder, and a look that it is gone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.harness import host_settings, remains
from tests.e2e.harness.processes import Processes, identify, kill

from . import cgroups
from .engine import Engine

if TYPE_CHECKING:
    from tests.e2e.harness.leftovers import Looks
    from tests.e2e.harness.paths import RunDir
    from tests.e2e.harness.processes import Identity

NAMESPACE_FILES = "nsfs"


@dataclass(frozen=True)
class KindTeardown:
    """Knows everything an engine can leave on the machine."""

    run_dir: RunDir

    def all(self) -> None:
        """End and remove everything; safe to repeat, and to call when there is nothing."""
        engine, processes = Engine(self.run_dir), Processes(self.run_dir)
        if processes.alive("dockerd"):
            engine.remove_containers()
        recorded = processes.names()
        last = [name for name in ("dockerd", "containerd") if name in recorded]
        for name in (*[n for n in recorded if n not in last], *last):
            processes.stop(name)
        sockets = remains.shim_sockets(engine.folder / "containerd")
        for shim in remains.shims(engine.containerd_socket):
            remains.end_shim(shim)
        for stray in (*self._members(), *processes.marked()):
            kill(stray, "a process that was not recorded", group=False)
        engine.namespace.remove()
        remains.unmount(self.run_dir)
        cgroups.remove(self.run_dir)
        for socket in sockets:
            socket.unlink(missing_ok=True)
        host_settings.put_back(self.run_dir)
        remains.keep_logs(self.run_dir)
        shutil.rmtree(self.run_dir.root, ignore_errors=True)

    def looks(self) -> Looks:
        """Return what is looked for, and how."""
        engine = Engine(self.run_dir)
        namespace = engine.namespace
        return {
            "process": lambda: remains.strays(self.run_dir),
            "container": lambda: [identity.pid for identity in (*remains.shims(engine.containerd_socket), *self._members())],
            "network": lambda: [namespace.device] if namespace.is_connected() else [],
            "route": namespace.routes,
            "network namespace": lambda: [point for point, kind in remains.mounts(self.run_dir) if kind == NAMESPACE_FILES],
            "mount": lambda: [point for point, kind in remains.mounts(self.run_dir) if kind != NAMESPACE_FILES],
            "volume": lambda: _entries(engine.folder / "data" / "volumes"),
            "cgroup": lambda: cgroups.parents(self.run_dir),
            "file of the engine": lambda: [self.run_dir.root] if self.run_dir.root.exists() else [],
        }

    def _members(self) -> list[Identity]:
        """Return the processes in our control groups: everything in the nodes, pods too."""
        return [identity for identity in map(identify, cgroups.members(self.run_dir)) if identity is not None]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
