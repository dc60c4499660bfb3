"""The `local` cluster: a real single-node Kubernetes as processes of this machine, without a registry."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import host_settings, network, remains, storage
from .base_images import BaseImages
from .cluster import do_nothing
from .commands import attempt
from .complaints import complaints, unread
from .container_runtime import ContainerRuntime
from .control_plane import ControlPlane
from .dns import Dns
from .errors import HarnessError
from .images import ImageBuilder
from .interruption import finishing, obey_noted
from .kubectl import Kubectl, is_ready
from .lock import refuse_second
from .machine import require_root, require_short_path, use_system_path
from .node import Node
from .packages import IMAGES, LOCAL, ensure_packages
from .paths import Cache, RunDir
from .probe import LOOKUP, prove_usable
from .processes import Processes
from .progress import phase, say
from .teardown import Teardown
from .tools import LOCAL_TOOLS, Tools
from .undo import taken_down_on_failure
from .versions import BASE_IMAGE, NODE_NAME
from .wait import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from .leftovers import Looks

NODE_READY_S = 60.0
END_IT = "run `make e2e-down CLUSTER=local`"
AT_WORK = "another `up` or `down` of the local cluster"


@dataclass(frozen=True)
class LocalCluster:
    """Implements `Cluster` with the run folder as its only state, so any process can take it over."""

    cache: Cache = field(default_factory=Cache.default)
    run_dir: RunDir = field(default_factory=RunDir.default)
    name: str = "local"
    pods_reachable_from_host: bool = True

    @property
    def tools(self) -> Tools:
        """The built programs."""
        return Tools(self.cache)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.run_dir.kubeconfig

    @property
    def kubectl(self) -> Kubectl:
        """kubectl pointed at this cluster."""
        return Kubectl(self.tools.path("kubectl"), self.kubeconfig)

    @property
    def helm(self) -> Path:
        """The helm program."""
        return self.tools.path("helm")

    @property
    def runtime(self) -> ContainerRuntime:
        """The container runtime."""
        return ContainerRuntime(self.run_dir)

    def up(self, begun: Callable[[], None] = do_nothing) -> None:
        """Start the cluster; on any failure take it down again, but keep the logs."""
        require_root()
        use_system_path()
        require_short_path(self.run_dir.kubelet / "device-plugins" / "kubelet.sock.0123456789")
        with refuse_second(self.run_dir.lock, AT_WORK):
            ailment = self._find_ailment()
            if ailment is None:
                say("the cluster is up already")
                return
            remains.refuse_ailing(self.run_dir, ailment, cure=f"see `cluster.py status`, then {END_IT}")
            ensure_packages(LOCAL)
            self.tools.ensure(LOCAL_TOOLS)
            self._builder.ensure_base()
            if self.run_dir.root.exists():
                with phase("clean up after an earlier run"):
                    self._take_down()
                obey_noted()
            network.refuse_foreign_cluster()
            begun()
            with phase("cluster up"), taken_down_on_failure(self.run_dir, self._take_down, cure=END_IT):
                self._start()
                self.run_dir.came_up.touch()

    def down(self) -> None:
        """End the cluster."""
        require_root()
        use_system_path()
        with refuse_second(self.run_dir.lock, AT_WORK), phase("cluster down"):
            self._take_down()

    def looks(self) -> Looks:
        """Return what `down` is checked for."""
        use_system_path()
        return Teardown(self.run_dir).looks()

    def collect_logs(self, folder: Path) -> list[str]:
        """Copy the logs; those of a cluster that did not come up have been moved aside already."""
        logs = next((path for path in (self.run_dir.logs, self.run_dir.kept_logs) if path.is_dir()), None)
        if logs is None:
            return [unread(self.name, "there are no logs")]
        shutil.copytree(logs, folder, dirs_exist_ok=True, symlinks=True)
        proxy = folder / "kube-proxy.log"
        return complaints(proxy.read_text(errors="replace")) if proxy.is_file() else [unread(self.name, "it was not started")]

    def status(self) -> list[str]:
        """Return the processes, and what Kubernetes says of node and pods."""
        processes = Processes(self.run_dir)
        lines = [f"{'runs' if processes.alive(name) else 'GONE'}  {name}" for name in processes.names()]
        if not lines:
            return ["no cluster; start one with `cluster.py up`"]
        lines += self.kubectl.attempt("get", "nodes,pods", "-A", "-o", "wide").stdout.splitlines()
        return [*lines, f"logs: {self.run_dir.logs}", f"kubeconfig: {self.kubeconfig}"]

    def build_and_load(self, context: Path, tag: str) -> None:
        """Build with buildah, and import when the cluster is up."""
        require_root()
        use_system_path()
        ensure_packages(IMAGES)
        archive = self._builder.build_image(context, tag)
        if self._find_ailment() is None:
            self.load_image(str(archive))
        else:
            say(f"no cluster is up; built {archive}")

    def load_image(self, image: str) -> None:
        """Import an archive file, or the archive of a tag that `build_image` made."""
        archive = Path(image) if Path(image).is_file() else self._builder.archive(image)
        if not archive.is_file():
            raise HarnessError(f"no archive for {image}", "run `cluster.py build-image` first")
        with phase(f"import {archive.name}"):
            self.runtime.import_image(archive)

    def run_on_node(self, node: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program here: this machine is the node."""
        if node != NODE_NAME:
            raise HarnessError(f"no node {node}", f"the only one is {NODE_NAME}")
        return attempt(argv)

    def ctr(self) -> list[str]:
        """Return the beginning of a ctr command."""
        return self.runtime.ctr()

    @property
    def _builder(self) -> ImageBuilder:
        return ImageBuilder(self.cache, self.name)

    def _start(self) -> None:
        self.run_dir.make()
        host_settings.remember(self.run_dir)
        host_settings.allow_forwarding()
        network.create_bridge()
        with phase("containerd"):
            self.runtime.start()
        with ThreadPoolExecutor(max_workers=1) as background:
            # Importing images takes a while and needs nothing of the control plane.
            imports = background.submit(self._import_base_images)
            with phase("control plane"):
                ControlPlane(self.run_dir, self.tools).start()
            with phase("node, DNS and storage"):
                Node(self.run_dir, self.tools).start()
                Dns(self.run_dir, self.tools).start(self.kubectl)
                storage.start(self.run_dir, self.kubectl)
                self._await_node()
            imports.result()
        with phase("a pod runs and resolves names"):
            prove_usable(self.kubectl, [NODE_NAME], BASE_IMAGE, LOOKUP)

    def _import_base_images(self) -> None:
        images = BaseImages(self.cache)
        for archive in (images.pause, images.base):
            self.runtime.import_image(archive)

    def _await_node(self) -> None:
        processes = Processes(self.run_dir)

        def ready() -> bool:
            for name in processes.names():
                processes.require_alive(name)
            return is_ready(self.kubectl.get("node", NODE_NAME))

        until("node readiness", ready, within_s=NODE_READY_S, cure=f"read {processes.log('kubelet')}", poll_s=0.3)

    def _find_ailment(self) -> str | None:
        """Return why it is not up, or None when it is."""
        processes = Processes(self.run_dir)
        names = processes.names()
        if "kubelet" not in names:
            return "its start was broken off"
        ended = [name for name in names if not processes.alive(name)]
        if ended:
            return f"{', '.join(ended)} ended"
        return None if is_ready(self.kubectl.get("node", NODE_NAME)) else f"node {NODE_NAME} is not"

    def _take_down(self) -> None:
        with finishing():
            Teardown(self.run_dir).all()
