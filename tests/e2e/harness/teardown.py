"""Ending a local cluster, also after a crash: exactly what belongs to the run folder, and a check that it is gone."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import host_settings, network
from .commands import run
from .processes import Identity, Processes, all_pids, command_line, descendants, identify, kill

if TYPE_CHECKING:
    from .leftovers import Looks
    from .paths import RunDir

# Those that would restart or recreate things go first; etcd goes after the apiserver, which would wait for it.
FIRST = (
    "provisioner",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "coredns",
    "kube-apiserver",
    "etcd",
)
CONTAINER_LOG_LINKS = Path("/var/log/containers")  # fixed in kubelet
CGROUPS = Path("/sys/fs/cgroup")
SHIM = "containerd-shim"


@dataclass(frozen=True)
class Teardown:
    """Knows everything a cluster can leave on the machine."""

    run_dir: RunDir

    def all(self) -> None:
        """End and remove everything; safe to repeat, and to call when there is nothing."""
        processes = Processes(self.run_dir)
        recorded = processes.names()
        for name in (*[n for n in FIRST if n in recorded], *[n for n in recorded if n not in FIRST]):
            processes.stop(name)
        sockets = self._shim_sockets()
        cgroups = self.cgroups()
        for shim in self.shims():
            _end_shim(shim)
        for stray in processes.marked():
            kill(stray, "a process that was not recorded", group=False)
        self._unmount()
        network.remove_network(self.run_dir)
        _remove_cgroups(cgroups)
        for link in self.log_links():
            link.unlink(missing_ok=True)
        for socket in sockets:
            socket.unlink(missing_ok=True)
        host_settings.put_back(self.run_dir)
        self._keep_logs()
        shutil.rmtree(self.run_dir.root, ignore_errors=True)

    def looks(self) -> Looks:
        """Return what is looked for, and how."""
        return {
            "process": lambda: [f"{pid} {' '.join(command_line(pid))[:120]}" for pid in self.strays()],
            "mount": self.mounts,
            "bridge": network.left_bridges,
            "packet rule": network.left_rules,
            "record of a pod's network": lambda: network.cni_results(self.run_dir),
            "cgroup": self.cgroups,
            "log link": self.log_links,
            "folder": lambda: [self.run_dir.root] if self.run_dir.root.exists() else [],
        }

    def strays(self) -> list[int]:
        """Return processes that carry our mark, or whose command line names a path in the run folder."""
        below = f"{self.run_dir.root}/"
        named = {pid for pid in all_pids() if any(below in word for word in command_line(pid))}
        return sorted(named | {identity.pid for identity in Processes(self.run_dir).marked()})

    def shims(self) -> list[Identity]:
        """Return the container shims of our containerd: they outlive it by design, each with its containers."""
        socket = str(self.run_dir.containerd_socket)
        found = []
        for pid in all_pids():
            words = command_line(pid)
            if words and Path(words[0]).name.startswith(SHIM) and socket in words:
                identity = identify(pid)
                if identity is not None:
                    found.append(identity)
        return found

    def mounts(self) -> list[str]:
        """Return the mount points below the run folder, the deepest first."""
        below = f"{self.run_dir.root}/"
        lines = Path("/proc/self/mounts").read_text().splitlines()
        points = [line.split()[1].encode().decode("unicode_escape") for line in lines]
        return sorted((point for point in points if point.startswith(below)), key=len, reverse=True)

    def cgroups(self) -> list[Path]:
        """Return the cgroups of our containers, known by the names of their bundle folders."""
        bundles = self.run_dir.containerd / "state" / "io.containerd.runtime.v2.task" / "k8s.io"
        names = {bundle.name for bundle in bundles.iterdir()} if bundles.is_dir() else set()
        return [folder for folder in CGROUPS.glob("**/k8s.io/*") if folder.name in names]

    def log_links(self) -> list[Path]:
        """Return kubelet's links to logs in the run folder (dangling ones too)."""
        below = f"{self.run_dir.root}/"
        if not CONTAINER_LOG_LINKS.is_dir():
            return []
        return [p for p in CONTAINER_LOG_LINKS.iterdir() if p.is_symlink() and str(p.readlink()).startswith(below)]

    def _shim_sockets(self) -> list[Path]:
        tasks = self.run_dir.containerd.glob("state/io.containerd.runtime.v2.task/*/*/address")
        return [Path(task.read_text().strip().removeprefix("unix://")) for task in tasks]

    def _keep_logs(self) -> None:
        """Move the logs beside the run folder, where they stay until the next cluster ends."""
        if self.run_dir.logs.is_dir():
            shutil.rmtree(self.run_dir.kept_logs, ignore_errors=True)
            self.run_dir.logs.rename(self.run_dir.kept_logs)

    def _unmount(self) -> None:
        for mount in self.mounts():
            run(["umount", "--lazy", mount], cure=f"see who holds it: `grep {mount} /proc/*/mounts`")


def _end_shim(shim: Identity) -> None:
    """Kill what runs in the shim's containers, then the shim."""
    for pid in descendants(shim.pid):
        identity = identify(pid)
        if identity is not None:
            kill(identity, f"container process {pid}", group=False)
    kill(shim, "container shim", group=False)  # it does not hear SIGTERM


def _remove_cgroups(folders: list[Path]) -> None:
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # the runtime may have been quicker
            folder.rmdir()
    for parent in {folder.parent for folder in folders}:
        with suppress(OSError):  # not empty: another containerd uses it
            parent.rmdir()
