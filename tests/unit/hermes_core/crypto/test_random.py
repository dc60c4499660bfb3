"""Random bytes come from the source that is handed in; nothing in the core has one of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM, generate_bytes, generate_secret
from tests.support.random_sources import ListedRandom, SeededRandom

CORE = Path(__file__).parents[4] / "node" / "hermes_core"
OWN_SOURCE = re.compile(
    r"urandom|token_bytes|randombytes|import (secrets|random)\b|from (secrets|random) import|\brandom\.(?!fill\()"
)
"""`random.fill(` is the source's own method; `hermes_core.crypto.random` is where it lives."""


def test_the_core_has_no_source_of_its_own() -> None:
    files = [path for path in CORE.rglob("*.py") if path != CORE / "crypto" / "random.py"]
    assert len(files) > 50
    found = [
        f"{path.relative_to(CORE)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if OWN_SOURCE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "nonce = os.urandom(24)",
        "import secrets",
        "secrets.token_bytes(8)",
        "import random",
        "random.randbytes(4)",
        "lib.randombytes(p, 4)",
    ],
)
def test_each_way_to_a_source_would_be_found(line: str) -> None:
    assert OWN_SOURCE.search(line)


def test_bytes_and_secrets_are_what_the_source_gives() -> None:
    listed = ListedRandom([b"\1" * 24, b"\2" * 32])
    assert generate_bytes(24, listed) == b"\1" * 24
    assert bytes(generate_secret(32, listed).buffer) == b"\2" * 32
    assert generate_bytes(16, SeededRandom(5)) == generate_bytes(16, SeededRandom(5))


def test_the_systems_source_does_not_repeat() -> None:
    assert len({generate_bytes(16, SYSTEM_RANDOM) for _ in range(100)}) == 100
