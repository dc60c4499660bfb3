"""Programs built from pinned Go modules into the cache: only what is missing, each appearing only when whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .commands import run
from .errors import HarnessError
from .paths import TOOLS_MODULE, Cache
from .progress import phase
from .versions import KUBERNETES_VERSION

if TYPE_CHECKING:
    from pathlib import Path

BUILD_TIMEOUT_S = 1800.0

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
        for position, name in enumerate(missing, start=1):
            with phase(f"go build {name} ({position} of {len(missing)}; the first takes minutes)"):
                self._build(name)

    def ensured(self, name: str) -> Path:
        """Return the path of one program, building it when it is missing."""
        self.ensure((name,))
        return self.path(name)

    def _build(self, name: str) -> None:
        # The name is made unique by the pid: two runs may build at the same time, and a rename is atomic.
        partial = self.cache.bin / f".{name}.{os.getpid()}"
        try:
            run(
                ["go", "build", "-trimpath", "-mod=readonly", "-ldflags", ldflags(), "-o", partial, PACKAGES[name]],
                cwd=TOOLS_MODULE,
                env={"CGO_ENABLED": "0"},
                timeout_s=BUILD_TIMEOUT_S,
                cure=f"run `go build {PACKAGES[name]}` in {TOOLS_MODULE} to see all of it",
            )
            partial.rename(self.path(name))
        finally:
            partial.unlink(missing_ok=True)


def own_sources(name: str) -> list[Path]:
    """Return the sources of a program of our own, but for its tests."""
    return sorted(path for path in (TOOLS_MODULE / name).glob("*.go") if not path.name.endswith("_test.go"))


def ldflags() -> str:
    """Return linker flags that stamp the version: helm and the version checks of kubectl parse it."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".", 2)
    stamps = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())
