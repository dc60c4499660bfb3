"""Ending a local cluster, also after a crash: exactly what belongs to the run folder, and a check that it is gone."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import host_settings, network, remains
from .processes import Processes, kill

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
        sockets = remains.shim_sockets(self.run_dir.containerd)
        cgroups = self.cgroups()
        for shim in remains.shims(self.run_dir.containerd_socket):
            remains.end_shim(shim)
        for stray in processes.marked():
            kill(stray, "a process that was not recorded", group=False)
        remains.unmount(self.run_dir)
        network.remove_network(self.run_dir)
        _remove_cgroups(cgroups)
        for link in self.log_links():
            link.unlink(missing_ok=True)
        for socket in sockets:
            socket.unlink(missing_ok=True)
        host_settings.put_back(self.run_dir)
        remains.keep_logs(self.run_dir)
        shutil.rmtree(self.run_dir.root, ignore_errors=True)

    def looks(self) -> Looks:
        """Return what is looked for, and how."""
        return {
            "process": lambda: remains.strays(self.run_dir),
            "mount": lambda: [point for point, _ in remains.mounts(self.run_dir)],
            "bridge": network.left_bridges,
            "packet rule": network.left_rules,
            "record of a pod's network": lambda: network.cni_results(self.run_dir),
            "cgroup": self.cgroups,
            "log link": self.log_links,
            "folder": lambda: [self.run_dir.root] if self.run_dir.root.exists() else [],
        }

    def cgroups(self) -> list[Path]:
        """Return the cgroups of our containers, known by the names of their bundle folders."""
        bundles = self.run_dir.containerd / "state" / remains.TASKS / "k8s.io"
        names = {bundle.name for bundle in bundles.iterdir()} if bundles.is_dir() else set()
        return [folder for folder in CGROUPS.glob("**/k8s.io/*") if folder.name in names]

    def log_links(self) -> list[Path]:
        """Return kubelet's links to logs in the run folder (dangling ones too)."""
        below = f"{self.run_dir.root}/"
        if not CONTAINER_LOG_LINKS.is_dir():
            return []
        return [p for p in CONTAINER_LOG_LINKS.iterdir() if p.is_symlink() and str(p.readlink()).startswith(below)]


def _remove_cgroups(folders: list[Path]) -> None:
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # the runtime may have been quicker
            folder.rmdir()
    for parent in {folder.parent for folder in folders}:
        with suppress(OSError):  # not empty: another containerd uses it
            parent.rmdir()
