"""What kube-proxy complains of: it goes on after a failure, and a service is dead while everything says Ready."""

from __future__ import annotations

import re

# klog's beginning of a line: the severity, month and day, the time.
_COMPLAINT = re.compile(r"\b[EWF]\d{4} \d\d:\d\d:\d\d")
# It says so at every start, of settings that are as they should be here.
_EXPECTED = ("nodePortAddresses", "Kube-proxy configuration may be incomplete", "using iptables", "feature gate")


def complaints(log: str) -> list[str]:
    """Return the errors and warnings in a log, but for those that every start has."""
    lines = [line for line in log.splitlines() if _COMPLAINT.search(line)]
    return [line for line in lines if not any(words in line for words in _EXPECTED)]
