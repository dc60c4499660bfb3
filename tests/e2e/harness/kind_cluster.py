"""The `kind` cluster: for machines with Docker and a registry, such as hosted CI."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import attempt, run
from .images import build_labels
from .kubectl import Kubectl
from .paths import Cache, cache_root
from .progress import phase, say
from .tools import KIND_TOOLS, Tools
from .versions import CLUSTER_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

CREATE_S = 600.0
BUILD_S = 1200.0


@dataclass(frozen=True)
class KindCluster:
    """Implements `Cluster` with kind."""

    cache: Cache = field(default_factory=Cache.default)
    name: str = "kind"
    pods_reachable_from_host: bool = False

    @property
    def tools(self) -> Tools:
        """The built programs."""
        return Tools(self.cache)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig that kind writes."""
        return cache_root() / "kind.kubeconfig"

    @property
    def kubectl(self) -> Kubectl:
        """kubectl pointed at this cluster."""
        return Kubectl(self.tools.ensured("kubectl"), self.kubeconfig)

    @property
    def helm(self) -> Path:
        """The helm program."""
        return self.tools.ensured("helm")

    def up(self) -> None:
        """Create the cluster unless it is there."""
        run(["docker", "version"], cure="start Docker, or use --cluster local on a Debian machine")
        self.tools.ensure(KIND_TOOLS)
        if self._is_up():
            return
        with phase("kind create cluster"):
            run(
                self._kind("create", "cluster", "--name", CLUSTER_NAME, "--kubeconfig", self.kubeconfig, "--wait", "120s"),
                timeout_s=CREATE_S,
                cure="see `docker ps -a` and `kind export logs`",
            )

    def down(self) -> None:
        """Delete the cluster."""
        self.tools.ensure(KIND_TOOLS)
        run(
            self._kind("delete", "cluster", "--name", CLUSTER_NAME, "--kubeconfig", self.kubeconfig),
            timeout_s=CREATE_S,
            cure=f"remove the containers that `docker ps --filter label=io.x-k8s.kind.cluster={CLUSTER_NAME}` shows",
        )
        self.kubeconfig.unlink(missing_ok=True)

    def leftovers(self) -> list[str]:
        """Return the node containers that are still there."""
        label = f"label=io.x-k8s.kind.cluster={CLUSTER_NAME}"
        done = attempt(["docker", "ps", "-a", "--filter", label, "--format", "{{.Names}}"])
        return [f"container: {name}" for name in done.stdout.split()]

    def status(self) -> list[str]:
        """Return node and pods."""
        return self.kubectl.attempt("get", "nodes,pods", "-A", "-o", "wide").stdout.splitlines()

    def build_and_load(self, context: Path, tag: str) -> None:
        """Build with Docker, and load into the nodes when the cluster is up."""
        with phase(f"docker build {tag}"):
            run(
                ["docker", "build", "--tag", tag, *build_labels(context), context],
                env={"DOCKER_BUILDKIT": "1"},
                timeout_s=BUILD_S,
                cure="run `docker build .` to see all of it",
            )
        if self._is_up():
            self.load_image(tag)
        else:
            say(f"no cluster is up; built {tag}")

    def load_image(self, image: str) -> None:
        """Load a tag or an archive file into the nodes."""
        verb = "image-archive" if Path(image).is_file() else "docker-image"
        with phase(f"kind load {verb} {image}"):
            run(self._kind("load", verb, image, "--name", CLUSTER_NAME), timeout_s=CREATE_S, cure="is the cluster up?")

    def run_on_node(self, node: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program in a node's container."""
        return attempt(["docker", "exec", node, *argv])

    def ctr(self) -> list[str]:
        """Return the beginning of a ctr command inside a node."""
        return ["ctr", "--namespace", "k8s.io"]

    def _is_up(self) -> bool:
        return CLUSTER_NAME in attempt(self._kind("get", "clusters")).stdout.split()

    def _kind(self, *words: str | Path) -> list[str | Path]:
        return [self.tools.path("kind"), *words]
