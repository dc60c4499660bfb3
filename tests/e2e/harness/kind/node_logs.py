"""The logs of the nodes, taken out of them while they still run; kube-proxy's through the API server."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.e2e.harness.complaints import complaints

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.harness.kubectl import Kubectl
    from tests.e2e.harness.paths import RunDir

    from .engine import Engine

UNITS = ("kubelet", "containerd")
SYSTEM_NAMESPACES = ("kube-system", "local-path-storage")
PROXY = "kube-proxy"


def collect_engine_logs(run_dir: RunDir, folder: Path) -> None:
    """Copy what the engine and the processes beside it wrote; of a cluster that did not come up it was moved aside."""
    logs = next((path for path in (run_dir.logs, run_dir.kept_logs) if path.is_dir()), None)
    if logs is not None:
        shutil.copytree(logs, folder, dirs_exist_ok=True)


def collect_node_logs(engine: Engine, nodes: list[str], folder: Path) -> None:
    """Write the journal of the units that matter, and what the node said at its start."""
    folder.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        for unit in UNITS:
            journal = engine.attempt("exec", node, "journalctl", "--no-pager", "--output=short-precise", f"--unit={unit}")
            (folder / f"{node}.{unit}.log").write_text(journal.stdout or journal.stderr)
        boot = engine.attempt("logs", node)
        (folder / f"{node}.boot.log").write_text(boot.stdout + boot.stderr)


def collect_system_pods(kubectl: Kubectl, folder: Path) -> list[str]:
    """Write the logs of Kubernetes' own pods, and return what kube-proxy complained of, each line with its pod."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for namespace in SYSTEM_NAMESPACES:
        for pod in (kubectl.get("pods", "-n", namespace) or {"items": []})["items"]:
            name = pod["metadata"]["name"]
            log = kubectl.attempt("logs", "-n", namespace, name, "--all-containers").stdout
            (folder / f"{namespace}.{name}.log").write_text(log)
            if name.startswith(PROXY):
                found += [f"{name}: {line}" for line in complaints(log)]
    return found
