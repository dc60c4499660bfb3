"""Programs built from pinned Go modules into the cache: only what is missing, each appearing only when whole."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import run
from .errors import HarnessError
from .paths import TOOLS_MODULE, Cache
from .progress import phase
from .versions import KUBERNETES_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILD_TIMEOUT_S = 2700.0
STEP_BYTES = 3 << 30
"""What linking Kubernetes' largest program took, with room to spare."""

MEMINFO = Path("/proc/meminfo")

PACKAGES = {
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "coredns": "github.com/coredns/coredns",
    "helm": "helm.sh/helm/v3/cmd/helm",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform",
    "kind": "sigs.k8s.io/kind",
    "kubeadm": "k8s.io/kubernetes/cmd/kubeadm",
    "etcd": "go.etcd.io/etcd/server/v3",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
    "kindnetd": "./kindnetd",
    "kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
}
OWN = ("kindnetd",)  # their sources are here
APART = (
    "local-path-provisioner",
)  # names a library in capitals that others name in small letters, which Go refuses in one build
LOCAL_TOOLS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "coredns",
    "helm",
)
KIND_TOOLS = (*LOCAL_TOOLS, "kind", "kubeadm", "etcd", "local-path-provisioner", "kindnetd")
POLICY_TOOLS = ("kube-router",)
EXISTING_TOOLS = ("kubectl", "helm")


@dataclass(frozen=True)
class Tools:
    """The folder of built programs."""

    cache: Cache

    def path(self, name: str) -> Path:
        """Return where a program is, or will be; one of our own has the key of its sources in its name."""
        if name not in OWN:
            return self.cache.bin / name
        digest = hashlib.sha256(b"".join(source.read_bytes() for source in own_sources(name)))
        return self.cache.bin / f"{name}-{digest.hexdigest()[:12]}"

    def ensure(self, names: tuple[str, ...]) -> None:
        """Build those programs that are not in the cache yet."""
        missing = [name for name in names if not self.path(name).exists()]
        if not missing:
            return
        if shutil.which("go") is None:
            raise HarnessError(f"cannot build {', '.join(missing)}: no go command", "install Go 1.26 or newer")
        self.cache.bin.mkdir(parents=True, exist_ok=True)
        together = [name for name in missing if name not in APART]
        for group in (together, *([name] for name in missing if name in APART)):
            if group:
                with phase(f"go build {', '.join(group)} (minutes, the first time)"):
                    self._build(group)

    def ensured(self, name: str) -> Path:
        """Return the path of one program, building it when it is missing."""
        self.ensure((name,))
        return self.path(name)

    def _build(self, names: Sequence[str]) -> None:
        # In one go: what programs have in common is compiled once, and several steps run at a time. The folder's name is
        # made unique by the pid: two runs may build at the same time, and a rename is atomic.
        packages = [PACKAGES[name] for name in names]
        with tempfile.TemporaryDirectory(prefix=f".{os.getpid()}.", dir=self.cache.bin) as partial:
            words = ["go", "build", "-p", str(steps_at_once(available_bytes())), "-trimpath", "-mod=readonly"]
            run(
                [*words, "-ldflags", ldflags(), "-o", f"{partial}/", *packages],
                cwd=TOOLS_MODULE,
                env={"CGO_ENABLED": "0"},
                timeout_s=BUILD_TIMEOUT_S,
                cure=f"run `go build {' '.join(packages)}` in {TOOLS_MODULE} to see all of it",
            )
            for name in names:
                Path(partial, program_name(PACKAGES[name])).rename(self.path(name))


def program_name(package: str) -> str:
    """Return what `go build` calls the program of a package: the last part of its path, but for a major version."""
    parts = package.split("/")
    return parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]


def steps_at_once(free_bytes: int) -> int:
    """Return how many compilers and linkers may run at a time: one a core, as far as memory allows."""
    return max(1, min(os.cpu_count() or 1, free_bytes // STEP_BYTES))


def available_bytes() -> int:
    """Return what the kernel could give to new programs; without a word from it, enough for two."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", MEMINFO.read_text(), re.MULTILINE) if MEMINFO.exists() else None
    return int(found[1]) << 10 if found else 2 * STEP_BYTES


def own_sources(name: str) -> list[Path]:
    """Return the sources of a program of our own, but for its tests."""
    return sorted(path for path in (TOOLS_MODULE / name).glob("*.go") if not path.name.endswith("_test.go"))


def ldflags() -> str:
    """Return linker flags that stamp the version: helm and the version checks of kubectl parse it."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".", 2)
    stamps = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())
