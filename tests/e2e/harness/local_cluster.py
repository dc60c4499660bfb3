"""The `local` cluster: a real single-node Kubernetes as processes of this machine, without a registry."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import host_settings, network, storage
from .base_images import BaseImages
from .commands import attempt
from .container_runtime import ContainerRuntime
from .control_plane import ControlPlane
from .dns import Dns
from .errors import HarnessError
from .images import ImageBuilder
from .kubectl import Kubectl, is_ready
from .node import Node
from .packages import SYSTEM_PATH, ensure_packages
from .paths import Cache, RunDir
from .probe import prove_usable
from .processes import Processes
from .progress import phase, say
from .teardown import Teardown
from .tools import LOCAL_TOOLS, Tools
from .versions import NODE_NAME
from .wait import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

NODE_READY_S = 60.0
SOCKET_PATH_LIMIT = 107


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

    def up(self) -> None:
        """Start the cluster; on any failure take it down again, but keep the logs."""
        _require_root()
        _use_system_path()
        self._require_short_paths()
        with self._lock():
            if self._is_up():
                say("the cluster is up already")
                return
            ensure_packages()
            self.tools.ensure(LOCAL_TOOLS)
            BaseImages(self.cache).ensure()
            if self.run_dir.root.exists():
                with phase("clean up after an earlier run"):
                    Teardown(self.run_dir).all()
            network.refuse_foreign_cluster()
            with phase("cluster up"):
                try:
                    self._start()
                except BaseException:
                    Teardown(self.run_dir).all()
                    say(f"logs kept in {self.run_dir.kept_logs}")
                    raise

    def down(self) -> None:
        """End the cluster."""
        _require_root()
        _use_system_path()
        with self._lock(), phase("cluster down"):
            Teardown(self.run_dir).all()

    def leftovers(self) -> list[str]:
        """Return what is still there."""
        _use_system_path()
        return Teardown(self.run_dir).leftovers()

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
        _require_root()
        _use_system_path()
        ensure_packages()
        archive = ImageBuilder(self.cache).build_image(context, tag)
        if self._is_up():
            self.load_image(str(archive))
        else:
            say(f"no cluster is up; built {archive}")

    def load_image(self, image: str) -> None:
        """Import an archive file, or the archive of a tag that `build_image` made."""
        archive = Path(image) if Path(image).is_file() else ImageBuilder(self.cache).archive(image)
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
            prove_usable(self.kubectl)

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

    def _is_up(self) -> bool:
        processes = Processes(self.run_dir)
        names = processes.names()
        return "kubelet" in names and all(processes.alive(n) for n in names) and is_ready(self.kubectl.get("node", NODE_NAME))

    def _require_short_paths(self) -> None:
        longest = self.run_dir.kubelet / "device-plugins" / "kubelet.sock.0123456789"
        if len(str(longest)) > SOCKET_PATH_LIMIT:
            raise HarnessError(f"{self.run_dir.root} is too long for unix sockets", "set HERMES_E2E_RUN_DIR shorter")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one `up` or `down` work at a time; the lock ends with the process, whatever happens."""
        self.run_dir.root.parent.mkdir(parents=True, exist_ok=True)
        with self.run_dir.root.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HarnessError("another `up` or `down` is at work", "wait for it to end") from None
            os.set_inheritable(lock.fileno(), False)
            yield


def _require_root() -> None:
    if os.geteuid() != 0:
        raise HarnessError("a local cluster makes network namespaces and mounts", "run it as root, or use --cluster kind")


def _use_system_path() -> None:
    """Find iptables, ip and runc although a user's PATH seldom has the sbin folders."""
    present = os.environ.get("PATH", "").split(":")
    os.environ["PATH"] = ":".join([*present, *[p for p in SYSTEM_PATH.split(":") if p not in present]])
