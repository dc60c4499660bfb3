"""The table of the architecture answers "where is X decided" by itself: the words stand in the row that names the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = [line for line in (ROOT / "docs" / "architecture.md").read_text().splitlines() if re.match(r"\| .+ \| `", line)]

DECIDED = {
    "signed ephemerals": "node/hermes_core/handshake/statement.py",
    "key schedule": "node/hermes_core/handshake/key_schedule.py",
    "HKDF labels": "node/hermes_core/crypto/labels.py",
    "REPLAYED_KEY": "node/hermes_core/ratchet/replay.py",
    "REPLAYED_FRAME": "node/hermes_core/ratchet/channel.py",
    "throttle": "node/hermes_core/token_bucket.py",
    "tombstones": "node/hermes_core/relay/tombstones.py",
    "generations": "node/hermes_core/keystore/rotation_timer.py",
    "re-sealing under a fresh key": "node/hermes_keystore/rotation.py",
    "witness verdict": "node/hermes_core/keystore/witness_verdict.py",
    "partition gate": "operator/hermes_operator/rollout/partition_gate.py",
    "finalizer": "operator/hermes_operator/plan/finalizer.py",
    "certificate reload": "node/hermes_node/tls/files.py",
    "metric names": "node/hermes_node/metrics/chats_series.py",
    "thresholds": "alerts/mesh.py",
    "CRD fields": "crds/hermesmeshes.hermesmesh.io.yaml",
    "tunables": "node/hermes_core/limits.py",
    "every wire code": "node/hermes_core/errors.py",
    "the protocol's messages": "node/hermes_core/protocol/messages.py",
    "record versions": "node/hermes_core/keystore/record_versions.py",
    "alerts": "alerts/crypto.py",
    "commands": "client/hermes_ctl/commands",
    "HSM": "node/hermes_core/keystore/key_backend.py",
    "panels": "dashboards/panels_service.py",
}


def _rows_about(words: str) -> list[str]:
    return [row for row in ROWS if re.search(rf"(?<!\w){re.escape(words)}(?!\w)", row)]


@pytest.mark.parametrize("words", DECIDED)
def test_the_first_row_with_these_words_names_the_file(words: str) -> None:
    first = _rows_about(words)[0]
    assert f"`{DECIDED[words]}`" in first
