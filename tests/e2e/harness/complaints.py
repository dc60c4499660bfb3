"""What kube-proxy complains of: it goes on after a failure, and a service is dead while everything says Ready."""

from __future__ import annotations

import re

# klog's beginning of a line: the severity, month and day, the time.
_COMPLAINT = re.compile(r"\b[EWF]\d{4} \d\d:\d\d:\d\d")
# It says so at every start with kubeadm's settings.
_EXPECTED = "nodePortAddresses is unset"


def complaints(log: str) -> list[str]:
    """Return the errors and warnings in a log, but for the one that every start has."""
    return [line for line in log.splitlines() if _COMPLAINT.search(line) and _EXPECTED not in line]
