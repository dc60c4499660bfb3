"""What the nodes' logs warn of, counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from hermes_client.scenario.local_mesh import LocalNode


def find_defects(nodes: Iterable[LocalNode]) -> list[str]:
    """What a fault brought out that is none of the faults that may happen."""
    lines = (line for node in nodes for line in node.log_path.read_text(errors="replace").splitlines())
    return [f"a node logged a defect: {line}" for line in lines if '"event":"unexpected_error"' in line]


def count_troubles(nodes: Iterable[LocalNode]) -> Counter[str]:
    """Warnings and errors by event and code; lines that are no log event by their beginning."""
    found: Counter[str] = Counter()
    for node in nodes:
        for line in node.log_path.read_text(errors="replace").splitlines():
            if not line.startswith("{"):
                found[f"no event: {line[:60]}"] += bool(line.strip())
                continue
            event = json.loads(line)
            if event["level"] in ("warning", "error", "critical"):
                found[" ".join(filter(None, (event["level"], event["event"], str(event.get("code", "")))))] += 1
    return found
