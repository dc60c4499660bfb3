"""Breaking things on purpose: the faults that a real machine deals out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import HarnessError
from .wait import until

if TYPE_CHECKING:
    from .cluster import Cluster
    from .kubectl import Manifest

RESTART_S = 60.0


def kill_container(cluster: Cluster, namespace: str, pod: str, container: str) -> int:
    """SIGKILL a container's main process, as a crash would; return how often it had been restarted before."""
    manifest = cluster.kubectl.get("pod", "-n", namespace, pod)
    if manifest is None:
        raise HarnessError(f"no pod {namespace}/{pod}", f"kubectl get pods -n {namespace}")
    status = container_status(manifest, container)
    identity = str(status.get("containerID", "")).partition("://")[2]
    if not identity or "running" not in status.get("state", {}):
        raise HarnessError(f"container {container} of {namespace}/{pod} does not run", "wait for the pod to be ready")
    words = [*cluster.ctr(), "tasks", "kill", "--signal", "SIGKILL", identity]
    done = cluster.run_on_node(manifest["spec"]["nodeName"], words)
    if done.returncode != 0:
        raise HarnessError(f"SIGKILL failed: {done.stderr.strip()}", "is the container still there?")
    return int(status["restartCount"])


def await_restart(cluster: Cluster, namespace: str, pod: str, container: str, *, before: int) -> Manifest:
    """Return the pod once the container runs again and is ready, more often restarted than `before`."""

    def restarted() -> Manifest | None:
        manifest = cluster.kubectl.get("pod", "-n", namespace, pod)
        status = container_status(manifest, container) if manifest else {}
        return manifest if status.get("restartCount", 0) > before and status.get("ready") else None

    return until(
        f"restart of {container} in {namespace}/{pod}",
        restarted,
        within_s=RESTART_S,
        cure=f"kubectl describe pod -n {namespace} {pod}",
        poll_s=0.2,
    )


def container_status(manifest: Manifest, container: str) -> Manifest:
    """Return the status of one container of a pod; empty when it has none yet."""
    statuses: list[Manifest] = manifest.get("status", {}).get("containerStatuses", [])
    return next((status for status in statuses if status["name"] == container), {})
