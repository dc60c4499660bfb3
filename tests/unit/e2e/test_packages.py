"""A package is there when its program or file is, from whatever package that came."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import packages
from tests.e2e.harness.packages import KIND, LOCAL, Needed


def test_a_program_counts_wherever_the_system_looks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setattr(packages, "SYSTEM_PATH", str(tmp_path))
    assert not Needed("docker.io", "dockerd").is_there()  # not a program yet
    program.chmod(0o755)
    assert Needed("docker.io", "dockerd").is_there()
    assert Needed("a-file", str(program).removeprefix("/")).is_there()
    assert not Needed("a-file", "nowhere/at/all").is_there()


def test_only_kind_needs_docker() -> None:
    assert "docker.io" in {needed.package for needed in KIND}
    assert "docker.io" not in {needed.package for needed in LOCAL}
