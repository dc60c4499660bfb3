"""What kube-proxy complains of: it goes on after a failure, and a service is dead while everything says Ready."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# klog's beginning of a line: the severity, month and day, the time.
_COMPLAINT = re.compile(r"\b[EWF]\d{4} \d\d:\d\d:\d\d")
# It says so at every start with kubeadm's settings.
_EXPECTED = "nodePortAddresses is unset"
# What the container runtime writes before each line of a pod.
_OF_RUNTIME = re.compile(r"^\S+ (?:stdout|stderr) [FP] ")
PROXY = "kube-proxy"


def complaints(log: str) -> list[str]:
    """Return the errors and warnings in a log, but for the one that every start has."""
    return [line for line in log.splitlines() if _COMPLAINT.search(line) and _EXPECTED not in line]


def complaints_of_pods(pod_logs: Path) -> list[str] | None:
    """Return what kube-proxy complained of, in a node's folder of logs of pods; None when that holds none of its logs."""
    logs = sorted(pod_logs.glob(f"*_{PROXY}-*/{PROXY}/*.log"))
    if not logs:
        return None
    found = []
    for log in logs:
        lines = "\n".join(_OF_RUNTIME.sub("", line) for line in log.read_text(errors="replace").splitlines())
        found += [f"{log.parent.parent.name.split('_')[1]}: {line}" for line in complaints(lines)]
    return found


def unread(whose: str, why: str) -> str:
    """Return the line that stands for complaints that nobody could look for: it must not look as if there were none."""
    return f"{whose}: kube-proxy's log could not be read: {why}"
