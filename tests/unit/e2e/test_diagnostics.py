"""What is collected after a failure: from the nodes' disks where nothing in them works; an unread log is no empty one."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from typing import cast

import pytest

from tests.e2e.harness.existing_cluster import ExistingCluster
from tests.e2e.harness.kind.engine import Engine
from tests.e2e.harness.kind.node_logs import collect_node_logs, find_complaints
from tests.e2e.harness.local_cluster import LocalCluster
from tests.e2e.harness.paths import RunDir
from tests.e2e.phases import diagnostics
from tests.e2e.phases.context import Run

FINE = "2026-01-01T10:00:00.0Z stderr F I0101 10:00:00.000000 1 server.go] fine\n"
COMPLAINT = "E0101 10:00:00.000000 1 proxier.go] no libm"


class _Engine:
    """Its nodes can be entered; `logs` is what their disks hold of kube-proxy, by node."""

    def __init__(self, logs: dict[str, str]) -> None:
        self._logs = logs

    def attempt(self, *words: str | Path) -> CompletedProcess[str]:
        if words[0] != "cp":
            return CompletedProcess([], 0, "journal", "")
        node, _, source = str(words[1]).partition(":")
        assert source == "/var/log/pods"
        if node not in self._logs:
            return CompletedProcess([], 1, "", "no such container")
        folder = Path(words[2]) / "kube-system_kube-proxy-abc_0123" / "kube-proxy"
        folder.mkdir(parents=True)
        (folder / "0.log").write_text(self._logs[node])
        return CompletedProcess([], 0, "", "")


def test_complaints_are_read_from_the_disks_of_the_nodes(tmp_path: Path) -> None:
    logs = {"one": FINE, "two": f"{FINE}2026-01-01T10:00:01.0Z stderr F {COMPLAINT}\n"}
    collect_node_logs(cast("Engine", _Engine(logs)), ["one", "two"], tmp_path)
    assert find_complaints(tmp_path) == [f"kube-proxy-abc: {COMPLAINT}"]


def test_what_could_not_be_read_is_said(tmp_path: Path) -> None:
    collect_node_logs(cast("Engine", _Engine({"one": FINE})), ["one", "lost"], tmp_path)
    assert find_complaints(tmp_path) == ["lost: kube-proxy's log could not be read: no such container"]
    (tmp_path / "bare.pods").mkdir()
    assert "bare: kube-proxy's log could not be read: there is none" in find_complaints(tmp_path)
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    assert find_complaints(nothing) == ["every node: kube-proxy's log could not be read: no engine runs"]
    local = LocalCluster(run_dir=RunDir(tmp_path / "run"))
    assert local.collect_logs(tmp_path / "of-local") == ["local: kube-proxy's log could not be read: there are no logs"]
    assert "could not be read" in ExistingCluster().collect_logs(tmp_path)[0]


class _Kubectl:
    """Knows one pod, which never ran before; its log as kubelet tells it without a container runtime."""

    def attempt(self, *words: str, timeout_s: float = 0.0) -> CompletedProcess[str]:
        _ = timeout_s
        if "--previous" in words:
            return CompletedProcess([], 0, "", "")
        if words[0] == "logs":
            return CompletedProcess([], 0, "unable to retrieve container logs for containerd://0123", "")
        return CompletedProcess([], 0, "told", "")

    def get(self, *words: str) -> dict[str, object]:
        there = words[2] == "hermes-e2e"
        return {"items": [{"metadata": {"name": "demo-0"}, "spec": {"containers": []}}] if there else []}


def test_a_log_that_kubelet_does_not_give_is_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExistingCluster, "kubectl", _Kubectl())
    diagnostics.dump(Run(ExistingCluster(), tmp_path))
    log = (tmp_path / "failure" / "hermes-e2e.demo-0.log").read_text()
    assert "could not be read through the API server: unable to retrieve container logs for containerd://0123" in log
    assert "the copy of the node it ran on is in cluster-logs/" in log
    assert not list((tmp_path / "failure").glob("*.previous.log"))
