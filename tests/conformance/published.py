"""Published vectors: Wycheproof from the folder `shared/vectors` beside the checkout, RFC cases from cryptography-vectors.

Data to test with; none of it is copied into the repository.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest

SHARED = Path(os.environ.get("HERMES_SHARED_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")
PACKAGE = Path(cryptography_vectors.__file__).parent


def load_wycheproof(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(group, case) of every case of a file. Without the folder: skipped with the reason, but failed where it was promised."""
    path = SHARED / f"{name}.json"
    if not path.exists():
        reason = f"no Wycheproof vectors at {SHARED} (set HERMES_SHARED_VECTORS to where they are)"
        if os.environ.get("HERMES_SHARED_VECTORS"):
            pytest.fail(reason)
        pytest.skip(f"{reason}; the cases of cryptography-vectors were run")
    document = json.loads(path.read_text())
    cases = [(group, case) for group in document["testGroups"] for case in group["tests"]]
    assert len(cases) == document["numberOfTests"]
    return cases


def load_package(path: str) -> list[dict[str, str]]:
    """The blocks of `name = value` lines of a file of cryptography-vectors; names in lower case.

    Blank lines also stand inside blocks, so a block ends where its first name comes again.
    """
    blocks: list[dict[str, str]] = []
    for line in (PACKAGE / path).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            key = name.strip().lower()
            if not blocks or key == next(iter(blocks[-1])):
                blocks.append({})
            blocks[-1][key] = value.strip()
    assert blocks
    return blocks


def hexed(value: str) -> bytes:
    """Hex, or text in quotes."""
    return value[1:-1].encode() if value.startswith('"') else bytes.fromhex(value)
