"""The `existing` cluster: whatever the current kubeconfig points at. It is never created, ended or cleaned.

Two environment variables say what only the owner of the cluster knows:
- HERMES_E2E_LOAD_COMMAND loads an image; the tag or archive is added as its last word.
- HERMES_E2E_NODE_COMMAND runs a program on a node as root, `{node}` standing for its name, such as `ssh root@{node}`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .cluster import do_nothing
from .commands import attempt, run
from .complaints import unread
from .errors import HarnessError
from .kubectl import Kubectl
from .paths import Cache, RunDir
from .processes import Processes
from .progress import say
from .tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .leftovers import Looks

LOAD_COMMAND = "HERMES_E2E_LOAD_COMMAND"
NODE_COMMAND = "HERMES_E2E_NODE_COMMAND"
LOAD_S = 600.0


@dataclass(frozen=True)
class ExistingCluster:
    """Implements `Cluster` on a cluster of somebody else's."""

    cache: Cache = field(default_factory=Cache.default)
    run_dir: RunDir = field(default_factory=lambda: RunDir.default("-existing"))
    name: str = "existing"

    @property
    def pods_reachable_from_host(self) -> bool:
        """Only the owner knows; HERMES_E2E_PODS_REACHABLE=1 says so."""
        return os.environ.get("HERMES_E2E_PODS_REACHABLE") == "1"

    @property
    def kubeconfig(self) -> Path:
        """The first file of KUBECONFIG, or the usual one."""
        named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
        return Path(named) if named else Path.home() / ".kube" / "config"

    @property
    def kubectl(self) -> Kubectl:
        """kubectl pointed at this cluster."""
        return Kubectl(Tools(self.cache).ensured("kubectl"), self.kubeconfig)

    @property
    def helm(self) -> Path:
        """The helm program."""
        return Tools(self.cache).ensured("helm")

    def up(self, begun: Callable[[], None] = do_nothing) -> None:
        """Check that the cluster answers; what begins is only what watches it from here."""
        self.kubectl.run("version")
        begun()
        self.run_dir.make()

    def down(self) -> None:
        """End what watched the cluster from here, and leave the cluster as it is."""
        processes = Processes(self.run_dir)
        for name in processes.names():
            processes.stop(name)
        shutil.rmtree(self.run_dir.root, ignore_errors=True)
        say("an existing cluster is not ours to end")

    def looks(self) -> Looks:
        """Return only what watched it from here: the rest on this machine is not ours."""
        return {
            "process": lambda: [identity.pid for identity in Processes(self.run_dir).marked()],
            "folder": lambda: [self.run_dir.root] if self.run_dir.root.exists() else [],
        }

    def collect_logs(self, folder: Path) -> list[str]:
        """Collect nothing: where its nodes keep their logs only the owner knows."""
        say(f"no logs of nodes in {folder.name}: this cluster is somebody else's")
        return [unread(self.name, "where it is only the owner knows")]

    def status(self) -> list[str]:
        """Return the nodes."""
        return self.kubectl.run("get", "nodes", "-o", "wide").splitlines()

    def build_and_load(self, context: Path, tag: str) -> None:
        """Load only: where to build for somebody else's cluster is the owner's choice."""
        say(f"not building {context} for an existing cluster; {tag} is taken as built")
        self.load_image(tag)

    def load_image(self, image: str) -> None:
        """Run the owner's command, or take the image as loaded."""
        command = shlex.split(os.environ.get(LOAD_COMMAND, ""))
        if not command:
            say(f"{LOAD_COMMAND} is not set; {image} is taken as loaded")
            return
        run([*command, image], timeout_s=LOAD_S, cure=f"check {LOAD_COMMAND}")

    def run_on_node(self, node: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program on a node with the owner's command."""
        command = shlex.split(os.environ.get(NODE_COMMAND, ""))
        if not command:
            raise HarnessError("how to run a program on a node is not known", f"set {NODE_COMMAND}='ssh root@{{node}}'")
        return attempt([*[word.replace("{node}", node) for word in command], *argv])

    def ctr(self) -> list[str]:
        """Return the beginning of a ctr command on a node."""
        return ["ctr", "--namespace", "k8s.io"]
