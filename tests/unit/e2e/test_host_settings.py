"""Two clusters at once, of one cache or of two: what the first wrote down is taken over, and only the last puts back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import host_settings
from tests.e2e.harness.paths import RunDir


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel setting of a machine of our own."""
    path = tmp_path / "sys" / "kernel" / "panic"
    path.parent.mkdir(parents=True)
    path.write_text("1")
    monkeypatch.setattr(host_settings, "_SYS", tmp_path / "sys")
    monkeypatch.setattr(host_settings, "_RECORDS", tmp_path / "records")
    monkeypatch.setattr(host_settings, "_LOCK", tmp_path / "lock")
    monkeypatch.setattr(host_settings, "SETTINGS", ("kernel/panic",))
    monkeypatch.setattr(host_settings, "FIXED_FILES", ())
    monkeypatch.setattr(host_settings, "FIXED_FOLDERS", (str(tmp_path / "fixed"),))
    return path


def _run_dirs(tmp_path: Path) -> tuple[RunDir, RunDir]:
    pair = RunDir(tmp_path / "here" / "run"), RunDir(tmp_path / "there" / "run")
    for run_dir in pair:
        run_dir.root.mkdir(parents=True)
    return pair


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_the_last_one_puts_back_what_was_before_both(tmp_path: Path, setting: Path, *, first_ends_first: bool) -> None:
    one, two = _run_dirs(tmp_path)
    host_settings.remember(one)
    setting.write_text("10")  # what the first cluster does to the machine
    (tmp_path / "fixed").mkdir()
    host_settings.remember(two)
    first, last = (one, two) if first_ends_first else (two, one)
    host_settings.put_back(first)
    assert setting.read_text() == "10"
    host_settings.put_back(last)
    assert setting.read_text() == "1"
    assert not (tmp_path / "fixed").exists()
    assert not (tmp_path / "records").exists()


def test_a_cluster_whose_folder_was_deleted_keeps_nobody_from_putting_back(tmp_path: Path, setting: Path) -> None:
    one, two = _run_dirs(tmp_path)
    host_settings.remember(one)
    host_settings.remember(two)
    setting.write_text("10")
    one.root.rmdir()
    host_settings.put_back(two)
    assert setting.read_text() == "1"


def test_a_record_of_a_crashed_run_is_truer_than_the_machine(tmp_path: Path, setting: Path) -> None:
    one, _ = _run_dirs(tmp_path)
    host_settings.remember(one)
    setting.write_text("10")
    host_settings.remember(one)
    host_settings.put_back(one)
    assert setting.read_text() == "1"
    host_settings.put_back(one)  # nothing is recorded any more
