"""Fixtures of the keystore's component tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.keystore.slices import ROWS


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: for tests that open thousands of files and prove nothing about the disk."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="hermes-test-") as folder:
        yield Path(folder)


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_keystore.rotating_file.SLICE_ROWS", ROWS)
    monkeypatch.setattr("hermes_keystore.rotating_file.SLICE_S", 10.0)
