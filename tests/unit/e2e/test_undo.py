"""A start that fails is taken down, and what is told is why it failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Never

import pytest

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.interruption import is_finishing
from tests.e2e.harness.paths import RunDir
from tests.e2e.harness.remains import keep_logs
from tests.e2e.harness.undo import collect, taken_down_on_failure


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    run_dir = RunDir(tmp_path / "run")
    run_dir.make()
    return run_dir


def _start(run_dir: RunDir, take_down: Callable[[], None], reason: BaseException) -> None:
    with taken_down_on_failure(run_dir, take_down, cure="run `make e2e-down`"):
        assert not is_finishing()
        raise reason


def test_the_first_reason_is_told_when_the_teardown_fails_too(run_dir: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> Never:
        assert is_finishing()
        raise HarnessError("the link stays", "delete it")

    with pytest.raises(KeyboardInterrupt):
        _start(run_dir, fail, KeyboardInterrupt())
    assert "not all of it was taken down: the link stays; delete it; run `make e2e-down`" in capsys.readouterr().err


def test_an_error_names_its_log_where_the_teardown_moved_it(run_dir: RunDir) -> None:
    error = HarnessError("containerd ended at once", f"read {run_dir.logs}/containerd.log")
    with pytest.raises(HarnessError) as told:
        _start(run_dir, lambda: keep_logs(run_dir), error)
    assert str(told.value) == f"containerd ended at once; read {run_dir.kept_logs}/containerd.log"


def test_what_comes_up_is_not_taken_down(run_dir: RunDir) -> None:
    taken: list[str] = []
    with taken_down_on_failure(run_dir, lambda: taken.append("down"), cure=""):
        pass
    assert taken == []


def test_collecting_never_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> Never:
        raise OSError("disk full")

    collect("logs of the nodes", fail)
    assert "logs of the nodes: not all could be collected: OSError: disk full" in capsys.readouterr().err
