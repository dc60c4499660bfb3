"""What is made in the cache: on its disk, there only when whole, and nothing stays of a build that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.kind import node_image
from tests.e2e.harness.kind.engine import Engine
from tests.e2e.harness.kind.node_image import NodeImage
from tests.e2e.harness.partial import made_beside
from tests.e2e.harness.paths import Cache, RunDir, cache_root


def test_what_is_renamed_stays_and_the_rest_goes(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "root-bookworm"
    with made_beside(target) as partial:
        partial.mkdir()
        partial.rename(target)
    assert list(target.parent.iterdir()) == [target]

    def fail() -> None:
        with made_beside(target) as partial:
            (partial / "etc").mkdir(parents=True)
            raise HarnessError("no mirror", "choose one")

    with pytest.raises(HarnessError):
        fail()
    assert list(target.parent.iterdir()) == [target]


def test_what_killed_builds_left_is_removed_and_what_others_make_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (
        f"root-bookworm-0a.{ended.pid}",
        f"root-bookworm-0b.{os.getppid()}",
        "root-bookworm-0c",
        f"other-1.{ended.pid}",
    ):
        (tmp_path / name).mkdir()
    with made_beside(tmp_path / "root-bookworm-0d"):
        pass
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"root-bookworm-0b.{os.getppid()}", "root-bookworm-0c", f"other-1.{ended.pid}"}


def test_the_node_image_is_saved_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = NodeImage(Cache(tmp_path / "cache"), RunDir(tmp_path / "another-disk"))
    saved: list[Path] = []

    def save(_engine: Engine, *words: str | Path) -> str:
        saved.append(Path(words[2]))
        saved[0].touch()
        return ""

    monkeypatch.setattr(Engine, "run", save)
    node_image.save(Engine(image.run_dir), image.archive)
    assert saved[0].parent == image.archive.parent
    assert list(image.archive.parent.iterdir()) == [image.archive]


def test_folders_named_relatively_are_those_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERMES_E2E_RUN_DIR", "rel")
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert RunDir.default("-kind").root == tmp_path.resolve() / "rel-kind"
    assert cache_root() == tmp_path.resolve() / "cache" / "hermes-e2e"
