"""Ending an engine and its nodes, also after a crash: exactly what belongs to the run folder, and a look that it is gone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.harness import host_settings
from tests.e2e.harness.commands import run
from tests.e2e.harness.processes import Processes, all_pids, command_line, descendants, identify, kill

from . import cgroups
from .engine import Engine

if TYPE_CHECKING:
    from tests.e2e.harness.leftovers import Looks
    from tests.e2e.harness.paths import RunDir
    from tests.e2e.harness.processes import Identity

SHIM = "containerd-shim"
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
        sockets = self._shim_sockets()
        for shim in self._shims():
            _end_shim(shim)
        for stray in (*self._members(), *processes.marked()):
            kill(stray, "a process that was not recorded", group=False)
        self._unmount()
        engine.namespace.remove()
        cgroups.remove(self.run_dir)
        for socket in sockets:
            socket.unlink(missing_ok=True)
        host_settings.put_back(self.run_dir)
        self._keep_logs()
        shutil.rmtree(self.run_dir.root, ignore_errors=True)

    def looks(self) -> Looks:
        """Return what is looked for, and how."""
        mounts, namespace = self._mounts, Engine(self.run_dir).namespace
        return {
            "process": self._strays,
            "container": lambda: [identity.pid for identity in (*self._shims(), *self._members())],
            "network": lambda: [namespace.device] if namespace.is_connected() else [],
            "route": namespace.routes,
            "network namespace": lambda: [point for point, kind in mounts() if kind == NAMESPACE_FILES],
            "mount": lambda: [point for point, kind in mounts() if kind != NAMESPACE_FILES],
            "volume": lambda: _entries(Engine(self.run_dir).folder / "data" / "volumes"),
            "cgroup": lambda: cgroups.parents(self.run_dir),
            "file of the engine": lambda: [self.run_dir.root] if self.run_dir.root.exists() else [],
        }

    def _strays(self) -> list[str]:
        """Return processes that carry our mark, or whose command line names a path in the run folder."""
        below = f"{self.run_dir.root}/"
        named = {pid for pid in all_pids() if any(below in word for word in command_line(pid))}
        marked = {identity.pid for identity in Processes(self.run_dir).marked()}
        return [f"{pid} {' '.join(command_line(pid))[:120]}" for pid in sorted(named | marked)]

    def _shims(self) -> list[Identity]:
        """Return the shims of our containerd: they outlive it by design, each with its container."""
        socket = str(Engine(self.run_dir).containerd_socket)
        found = []
        for pid in all_pids():
            words = command_line(pid)
            if words and Path(words[0]).name.startswith(SHIM) and socket in words:
                identity = identify(pid)
                if identity is not None:
                    found.append(identity)
        return found

    def _members(self) -> list[Identity]:
        """Return the processes in our control groups: everything in the nodes, pods too."""
        return [identity for identity in map(identify, cgroups.members(self.run_dir)) if identity is not None]

    def _mounts(self) -> list[tuple[str, str]]:
        """Return the mount points below the run folder with their types, the deepest first."""
        below = f"{self.run_dir.root}/"
        fields = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        points = [(field[1].encode().decode("unicode_escape"), field[2]) for field in fields]
        return sorted((point for point in points if point[0].startswith(below)), key=lambda point: len(point[0]), reverse=True)

    def _shim_sockets(self) -> list[Path]:
        tasks = Engine(self.run_dir).folder.glob("containerd/state/io.containerd.runtime.v2.task/*/*/address")
        return [Path(task.read_text().strip().removeprefix("unix://")) for task in tasks]

    def _keep_logs(self) -> None:
        """Move the logs beside the run folder, where they stay until the next cluster ends."""
        if self.run_dir.logs.is_dir():
            shutil.rmtree(self.run_dir.kept_logs, ignore_errors=True)
            self.run_dir.logs.rename(self.run_dir.kept_logs)

    def _unmount(self) -> None:
        for point, _ in self._mounts():
            run(["umount", "--lazy", point], cure=f"see who holds it: `grep {point} /proc/*/mounts`")


def _end_shim(shim: Identity) -> None:
    """Kill what runs in the shim's container, then the shim."""
    for pid in descendants(shim.pid):
        identity = identify(pid)
        if identity is not None:
            kill(identity, f"container process {pid}", group=False)
    kill(shim, "container shim", group=False)  # it does not hear SIGTERM


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
