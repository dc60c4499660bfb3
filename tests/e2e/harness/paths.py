"""Where the harness keeps things: a cache that stays, and a run folder that `down` removes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from .versions import KUBERNETES_VERSION

E2E_DIR = Path(__file__).resolve().parent.parent
CHECKOUT = E2E_DIR.parent.parent
TOOLS_MODULE = E2E_DIR / "tools"


def cache_root() -> Path:
    """Return the cache folder of this user, outside the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).resolve() / "hermes-e2e"


@dataclass(frozen=True)
class Cache:
    """What is slow to make and stays between runs."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """Return the cache of the pinned Kubernetes version."""
        return cls(cache_root() / KUBERNETES_VERSION)

    @property
    def bin(self) -> Path:
        """Programs built from Go modules."""
        return self.root / "bin"

    @property
    def images(self) -> Path:
        """Image archives (oci-archive)."""
        return self.root / "images"

    @property
    def buildah(self) -> Path:
        """Image storage of buildah."""
        return self.root / "buildah"


@dataclass(frozen=True)
class RunDir:
    """Everything one running cluster owns. Short names: unix socket paths hold 107 bytes."""

    root: Path

    @classmethod
    def default(cls, suffix: str = "") -> RunDir:
        """Return the run folder; HERMES_E2E_RUN_DIR moves it. Each kind of cluster has a suffix, so that they share nothing."""
        # Processes with other working directories name it, and the kernel's list of mounts knows no link.
        root = Path(os.environ.get("HERMES_E2E_RUN_DIR") or cache_root() / "run").resolve()
        return cls(root.with_name(f"{root.name}{suffix}"))

    @property
    def pki(self) -> Path:
        """Keys, certificates and kubeconfig files of the components."""
        return self.root / "pki"

    @property
    def pids(self) -> Path:
        """One record a process."""
        return self.root / "pids"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.root / "logs"

    @property
    def kept_logs(self) -> Path:
        """The logs of the cluster that ended last."""
        return self.root.with_name(f"{self.root.name}-last-logs")

    @property
    def came_up(self) -> Path:
        """There once a cluster in this folder came up: what is found here later is no wreck of a start."""
        return self.root / "came-up"

    @property
    def mark(self) -> str:
        """Seven letters that are this folder's alone: names outside it that hold them belong to no cluster of another cache."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:7]

    @property
    def lock(self) -> Path:
        """Held by the one `up` or `down` that works on this folder."""
        return self.root.with_name(f"{self.root.name}.lock")

    @property
    def conf(self) -> Path:
        """Generated configuration files."""
        return self.root / "conf"

    @property
    def volumes(self) -> Path:
        """The folders behind the PersistentVolumes."""
        return self.root / "volumes"

    @property
    def containerd(self) -> Path:
        """Root, state and socket of the container runtime."""
        return self.root / "cd"

    @property
    def containerd_socket(self) -> Path:
        """The socket of the container runtime."""
        return self.containerd / "cd.sock"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root folder."""
        return self.root / "kubelet"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    def make(self) -> None:
        """Create the folders, closed to other users."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.pki, self.pids, self.logs, self.conf, self.volumes, self.containerd, self.kubelet):
            folder.mkdir(exist_ok=True)
