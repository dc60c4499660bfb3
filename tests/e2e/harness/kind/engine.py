"""Docker of our own: its data, sockets and network namespace in the run folder, beside any that the machine may have."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.harness.commands import attempt, run
from tests.e2e.harness.machine import SYSTEM_PATH, require_short_path
from tests.e2e.harness.processes import Processes
from tests.e2e.harness.wait import until

from . import cgroups
from .namespace import Namespace
from .oci_runtime import choose_runtime

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.e2e.harness.paths import RunDir

START_S = 60.0
DOCKER_S = 600.0
RUNTIME = "own"
# kind hands the proxies of this machine on to its nodes, which reach nothing beyond it.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")

_CONTAINERD = """\
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
"""


@dataclass(frozen=True)
class Engine:
    """The engine of one run folder."""

    run_dir: RunDir

    @property
    def namespace(self) -> Namespace:
        """Its network namespace."""
        return Namespace(self.run_dir)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.run_dir.root / "docker.sock"

    @property
    def containerd_socket(self) -> Path:
        """Where its containerd listens: one of our own, because it takes the machine's when there is one."""
        return self.run_dir.root / "containerd.sock"

    @property
    def folder(self) -> Path:
        """Its data: images, containers, volumes."""
        return self.run_dir.root / "engine"

    @property
    def environment(self) -> dict[str, str]:
        """Settings for programs that talk to it: no configuration of the user's, no proxies."""
        own = {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.run_dir.conf / "docker"),
            "DOCKER_BUILDKIT": "0",
        }
        return {**own, "PATH": SYSTEM_PATH, **dict.fromkeys(PROXIES, "")}

    def start(self) -> None:
        """Start it in a namespace of its own; returns when it answers."""
        require_short_path(self.folder / "exec" / "libnetwork" / "0123456789ab.sock")
        (self.folder / "tmp").mkdir(parents=True)
        self.namespace.create()
        cgroups.raise_shares(self.run_dir)
        processes = Processes(self.run_dir)
        config = self.run_dir.conf / "containerd.toml"
        config.write_text(_CONTAINERD.format(folder=self.folder, socket=self.containerd_socket))
        processes.start("containerd", self.namespace.argv("containerd", "--config", config))
        self._await("containerd", self.containerd_socket.exists)
        daemon = self.run_dir.conf / "daemon.json"
        version = attempt(["dockerd", "--version"]).stdout
        daemon.write_text(json.dumps(build_settings(self, choose_runtime(self.run_dir.conf), major_version(version)), indent=1))
        temporary = {"DOCKER_TMPDIR": str(self.folder / "tmp")}
        processes.start("dockerd", self.namespace.argv("dockerd", f"--config-file={daemon}"), env=temporary)
        self._await("dockerd", lambda: self.attempt("version").returncode == 0)

    def run(self, *words: str | Path, stdin: str | None = None) -> str:
        """Run a docker command and return what it printed."""
        cure = f"read {Processes(self.run_dir).log('dockerd')}"
        return run(["docker", *words], env=self.environment, stdin=stdin, timeout_s=DOCKER_S, cure=cure).strip()

    def attempt(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a docker command and return how it ended."""
        return attempt(["docker", *words], env=self.environment)

    def remove_containers(self) -> None:
        """Remove all containers with their volumes, as long as the engine answers."""
        containers = self.attempt("ps", "--all", "--quiet").stdout.split()
        if containers:
            self.attempt("rm", "--force", "--volumes", *containers)

    def _await(self, name: str, answers: object) -> None:
        processes = Processes(self.run_dir)

        def ready() -> bool:
            processes.require_alive(name)
            return bool(answers() if callable(answers) else answers)

        until(name, ready, within_s=START_S, cure=f"read {processes.log(name)}")


def major_version(printed: str) -> int:
    """Return the major version in what `dockerd --version` printed."""
    found = re.search(r"version (\d+)\.", printed)
    return int(found[1]) if found else 0


def build_settings(engine: Engine, runtime: Path, major: int) -> dict[str, object]:
    """Return the whole configuration of the engine; it reads no other."""
    settings: dict[str, object] = {
        "hosts": [f"unix://{engine.socket}"],
        "containerd": str(engine.containerd_socket),
        "data-root": str(engine.folder / "data"),
        "exec-root": str(engine.folder / "exec"),
        "pidfile": str(engine.folder / "dockerd.pid"),
        "bridge": "none",  # the nodes have a network of their own
        "iptables": True,
        "ip-forward": True,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": f"/{cgroups.parent_name(engine.run_dir)}",
        "runtimes": {RUNTIME: {"path": str(runtime)}},
        "default-runtime": RUNTIME,
    }
    if major < 25:
        settings["oom-score-adjust"] = 0  # a lower one, its default, is refused without CAP_SYS_RESOURCE
    if major < 23:
        settings["deprecated-key-path"] = str(engine.folder / "key.json")  # else below /etc
    return settings
