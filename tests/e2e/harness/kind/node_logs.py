"""The logs of the nodes and of the pods on them, taken out of the nodes' containers: nothing in them has to work."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.e2e.harness.complaints import complaints_of_pods, unread

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.harness.paths import RunDir

    from .engine import Engine

UNITS = ("kubelet", "containerd")
POD_LOGS = "/var/log/pods"
PODS_SUFFIX = ".pods"


def collect_engine_logs(run_dir: RunDir, folder: Path) -> None:
    """Copy what the engine and the processes beside it wrote; of a cluster that did not come up it was moved aside."""
    logs = next((path for path in (run_dir.logs, run_dir.kept_logs) if path.is_dir()), None)
    if logs is not None:
        shutil.copytree(logs, folder, dirs_exist_ok=True)


def collect_node_logs(engine: Engine, nodes: list[str], folder: Path) -> None:
    """Write the journal of the units that matter, what the node said at its start, and what its pods said.

    All of it from the node's container and its disk, whether anything in it works or not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        for unit in UNITS:
            journal = engine.attempt("exec", node, "journalctl", "--no-pager", "--output=short-precise", f"--unit={unit}")
            (folder / f"{node}.{unit}.log").write_text(journal.stdout or journal.stderr)
        boot = engine.attempt("logs", node)
        (folder / f"{node}.boot.log").write_text(boot.stdout + boot.stderr)
        copied = engine.attempt("cp", f"{node}:{POD_LOGS}", folder / f"{node}{PODS_SUFFIX}")
        if copied.returncode != 0:
            (folder / f"{node}{PODS_SUFFIX}.txt").write_text(f"could not be read: {copied.stderr.strip()}\n")


def find_complaints(folder: Path) -> list[str]:
    """Return what kube-proxy complained of, in the collected logs of each node's pods."""
    copies = sorted(folder.glob(f"*{PODS_SUFFIX}"))
    failures = [(path.name.removesuffix(f"{PODS_SUFFIX}.txt"), path.read_text()) for path in folder.glob(f"*{PODS_SUFFIX}.txt")]
    found = [unread(node, why.strip().removeprefix("could not be read: ")) for node, why in sorted(failures)]
    for copy in copies:
        of_node = complaints_of_pods(copy)
        found += [unread(copy.name.removesuffix(PODS_SUFFIX), "there is none")] if of_node is None else of_node
    return found or [unread("every node", "no engine runs")] if not copies else found
