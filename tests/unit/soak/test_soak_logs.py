"""What a soak finds in its nodes' logs: a defect is a broken promise, every other trouble is counted."""

from __future__ import annotations

import json
from pathlib import Path

from hermes_client.scenario.local_mesh import LocalNode
from tests.soak.logs import count_troubles, find_defects


def test_a_defect_is_found_among_faults_that_may_happen(tmp_path: Path) -> None:
    node = LocalNode("local-0", tmp_path, {})
    lines = [
        ("info", "node_ready"),
        ("warning", "peer_dial_failed"),
        ("warning", "system_fault"),
        ("error", "unexpected_error"),
    ]
    text = [json.dumps({"level": level, "event": event}, separators=(",", ":")) for level, event in lines]
    node.log_path.write_text("\n".join([*text, "no event at all"]) + "\n")
    assert find_defects([node]) == [f"a node logged a defect: {text[-1]}"]
    assert sum(count_troubles([node]).values()) == 4
