"""What every kind of cluster offers to the end-to-end tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .kubectl import Kubectl
    from .leftovers import Looks
    from .paths import RunDir


def do_nothing() -> None:
    """Nobody wants to know."""


class Cluster(Protocol):
    """A Kubernetes that tests may fill, break and inspect."""

    @property
    def name(self) -> str:
        """The kind: `local`, `kind` or `existing`."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""

    @property
    def run_dir(self) -> RunDir:
        """Where processes that watch the cluster live."""

    @property
    def kubectl(self) -> Kubectl:
        """kubectl pointed at this cluster."""

    @property
    def helm(self) -> Path:
        """The helm program; use it with KUBECONFIG set."""

    @property
    def pods_reachable_from_host(self) -> bool:
        """Whether a process on this machine reaches pod addresses (Prometheus as a host process needs it)."""

    def up(self, begun: Callable[[], None] = do_nothing) -> None:
        """Start the cluster and return when pods run and names resolve; one that is up already is taken as it is.

        `begun` is called right before the first thing of it is started: whoever gets no call has nothing to end. When the start
        fails it is taken down again. RefusedError: something is there that must not be touched, and was not.
        """

    def down(self) -> None:
        """End the cluster and leave nothing behind."""

    def status(self) -> list[str]:
        """Return lines for a person."""

    def build_and_load(self, context: Path, tag: str) -> None:
        """Build an image from a Dockerfile and make it usable by pods."""

    def load_image(self, image: str) -> None:
        """Make an image (a tag that was built, or an archive file) usable by pods."""

    def looks(self) -> Looks:
        """Return what a finished `down` is checked for, and how each is looked for."""

    def collect_logs(self, folder: Path) -> list[str]:
        """Copy the logs of nodes and cluster into a folder, and return what kube-proxy complained of."""

    def run_on_node(self, node: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program on a node, outside any pod, as root."""

    def ctr(self) -> list[str]:
        """Return the beginning of a ctr command, as `run_on_node` understands it."""
