"""Tells Prometheus which pods to scrape, through a file: Debian's Prometheus is built without Kubernetes discovery.

Run as a process of its own (`python -m tests.e2e.harness.scrape_targets KUBECTL KUBECONFIG FILE NAMESPACE PORT_NAME`).
The labels are those that a PodMonitor gives, and the pod's own labels under the names that Kubernetes discovery gives them,
for relabelling.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import HarnessError
from .kubectl import Kubectl
from .paths import CHECKOUT
from .processes import Processes
from .service_loop import repeat_until_term

if TYPE_CHECKING:
    from .kubectl import Manifest
    from .paths import RunDir

POLL_S = 1.0
REFRESH_INTERVAL = "2s"


def start_scrape_targets(run_dir: RunDir, kubectl: Kubectl, namespace: str, port_name: str) -> Path:
    """Start the process, once for each namespace and port name, and return the file it keeps up to date."""
    name = f"targets-{namespace}-{port_name}"
    path = run_dir.conf / f"{name}.json"
    processes = Processes(run_dir)
    if not processes.alive(name):
        module = [sys.executable, "-m", "tests.e2e.harness.scrape_targets"]
        words: list[str | Path] = [kubectl.program, kubectl.kubeconfig, path, namespace, port_name]
        processes.start(name, [*module, *words], env={"PYTHONPATH": str(CHECKOUT)})
    return path


def build_targets(pods: list[Manifest], port_name: str) -> list[dict[str, Any]]:
    """Return a target for each container port of that name in a running pod."""
    targets = []
    for pod in pods:
        address = pod.get("status", {}).get("podIP")
        if not address or pod["status"].get("phase") != "Running":
            continue
        meta = pod["metadata"]
        for container in pod["spec"]["containers"]:
            for port in container.get("ports", []):
                if port.get("name") == port_name:
                    labels = {"namespace": meta["namespace"], "pod": meta["name"]}
                    labels |= {"container": container["name"], "endpoint": port_name}
                    labels |= {meta_label(name): value for name, value in meta.get("labels", {}).items()}
                    targets.append({"targets": [f"{address}:{port['containerPort']}"], "labels": labels})
    return targets


def meta_label(name: str) -> str:
    """Return the name under which Kubernetes discovery shows a pod's label."""
    return "__meta_kubernetes_pod_label_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)


def write_targets(kubectl: Kubectl, path: Path, namespace: str, port_name: str) -> None:
    """Write the file anew; a rename, because Prometheus may read at any moment."""
    pods = kubectl.get("pods", "-n", namespace)
    if pods is None:
        raise HarnessError(f"no answer about the pods of {namespace}", "the next look may succeed")
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(build_targets(pods["items"], port_name)))
    partial.rename(path)


def main() -> None:
    """Keep the file up to date until told to end."""
    program, kubeconfig, path, namespace, port_name = sys.argv[1:]
    kubectl = Kubectl(Path(program), Path(kubeconfig))
    repeat_until_term(lambda: write_targets(kubectl, Path(path), namespace, port_name), every_s=POLL_S)


if __name__ == "__main__":
    main()
