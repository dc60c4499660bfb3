"""The end of an engine: the link goes before the namespace that holds its other end, and one that is gone already is gone."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.e2e.harness import host_settings, remains
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.kind import namespace
from tests.e2e.harness.kind.namespace import Namespace
from tests.e2e.harness.kind.teardown import KindTeardown
from tests.e2e.harness.paths import RunDir

NO_DEVICE = CompletedProcess[str]([], 1, "", 'Cannot find device "hermes-0123456"')


def test_the_link_goes_before_the_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(Namespace, "remove", lambda _: order.append("link"))
    monkeypatch.setattr(remains, "unmount", lambda _: order.append("mounts"))
    monkeypatch.setattr(host_settings, "put_back", lambda _: None)
    KindTeardown(RunDir(tmp_path / "run")).all()
    assert order == ["link", "mounts"]


def test_a_link_that_the_kernel_removed_first_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [True, True, False]  # looked at, deleted, still shown for a moment, gone
    monkeypatch.setattr(Namespace, "is_connected", lambda _: seen.pop(0))
    monkeypatch.setattr(namespace, "attempt", lambda _: NO_DEVICE)
    Namespace(RunDir(tmp_path)).remove()
    assert seen == []


def test_a_link_that_stays_is_told_with_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Namespace, "is_connected", lambda _: True)
    monkeypatch.setattr(namespace, "attempt", lambda _: CompletedProcess[str]([], 2, "", "Operation not permitted"))
    monkeypatch.setattr(namespace, "GONE_S", 0.0)
    with pytest.raises(HarnessError, match=r"Operation not permitted.*e2e-down"):
        Namespace(RunDir(tmp_path)).remove()
