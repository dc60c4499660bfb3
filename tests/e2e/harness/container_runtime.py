"""containerd with its own root, state and socket, so that one the machine may have is never touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .commands import run
from .network import CNI_BIN, write_cni_config
from .processes import Processes
from .versions import PAUSE_IMAGE
from .wait import until

if TYPE_CHECKING:
    from pathlib import Path

    from .paths import RunDir

NAME = "containerd"
KUBERNETES_NAMESPACE = "k8s.io"
START_S = 30.0
IMPORT_S = 300.0

_CONFIG = """\
version = 2
root = "{root}/root"
state = "{root}/state"
temp = "{root}/tmp"
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE a lower oom_score_adj is refused, and every pod would fail.
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  # Network namespaces below our own folder, so that `down` can tell them from those of others.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{cni_conf}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{root}/runc"
"""


@dataclass(frozen=True)
class ContainerRuntime:
    """The container runtime of one run folder."""

    run_dir: RunDir

    def ctr(self) -> list[str]:
        """Return the beginning of a ctr command for the cluster's containers."""
        return ["ctr", "--address", str(self.run_dir.containerd_socket), "--namespace", KUBERNETES_NAMESPACE]

    def start(self) -> None:
        """Start containerd and return when it answers."""
        config = self.run_dir.conf / "containerd.toml"
        config.write_text(
            _CONFIG.format(
                root=self.run_dir.containerd,
                socket=self.run_dir.containerd_socket,
                pause=PAUSE_IMAGE,
                cni_bin=CNI_BIN,
                cni_conf=write_cni_config(self.run_dir),
            )
        )
        processes = Processes(self.run_dir)
        processes.start(NAME, ["containerd", "--config", config])

        def answers() -> bool:
            processes.require_alive(NAME)
            return self.run_dir.containerd_socket.exists()

        until("containerd", answers, within_s=START_S, cure=f"read {processes.log(NAME)}")
        self.images()

    def import_image(self, archive: Path) -> None:
        """Load an oci-archive so that pods can use it without any registry."""
        run(
            [*self.ctr(), "images", "import", archive],
            timeout_s=IMPORT_S,
            cure=f"is {archive} whole? delete it to have it built again",
        )

    def images(self) -> list[str]:
        """Return the names of the images that pods can use."""
        listed = run([*self.ctr(), "images", "ls", "-q"], cure=f"read {self.run_dir.logs}/containerd.log")
        return [line for line in listed.splitlines() if not line.startswith("sha256:")]
