"""A run ends only what it started, and a refusal touches nothing."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never, cast

import pytest

from tests.e2e import run as e2e
from tests.e2e.harness import remains
from tests.e2e.harness.cluster import Cluster
from tests.e2e.harness.errors import HarnessError, RefusedError
from tests.e2e.harness.paths import RunDir
from tests.e2e.harness.processes import Processes
from tests.e2e.phases.cluster_life import start_cluster
from tests.e2e.phases.context import Run
from tests.e2e.phases.runner import Phase


class _Kubectl:
    """Knows of one mesh, maybe."""

    def __init__(self, mesh_in: str) -> None:
        self._items = [{"metadata": {"namespace": mesh_in, "name": "demo"}}] if mesh_in else []

    def get(self, *_words: str) -> dict[str, Any]:
        return {"items": self._items}

    def run(self, *_words: str) -> str:
        return "{}"


@dataclass
class _Cluster:
    """Kept by an earlier run, unless `absent`; `refuses` with a reason, or fails to start."""

    run_dir: RunDir
    absent: bool = False
    refuses: str = ""
    fails: str = ""
    mesh_in: str = ""
    name: str = "kind"
    ended: int = 0
    kubeconfig: Path = field(default_factory=lambda: Path("/kubeconfig"))

    @property
    def kubectl(self) -> _Kubectl:
        return _Kubectl(self.mesh_in)

    def up(self, begun: Callable[[], None]) -> None:
        if self.refuses:
            raise RefusedError(self.refuses, "run `make e2e-down CLUSTER=kind` first")
        if self.absent:
            begun()
        if self.fails:
            raise HarnessError(self.fails, "mend it")

    def down(self) -> None:
        self.ended += 1

    def looks(self) -> dict[str, Callable[[], list[object]]]:
        return {}


def _fail(_run: Run) -> Never:
    raise HarnessError("it broke", "mend it")


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the run before, with what it found out."""
    folder = tmp_path / "out" / "kind"
    folder.mkdir(parents=True)
    (folder / "junit.xml").write_text("of the run before")
    monkeypatch.setattr(e2e, "OUT", tmp_path / "out")
    monkeypatch.setattr(e2e, "PLANS", {"scenario": (Phase("cluster up", start_cluster), Phase("breaks", _fail))})
    monkeypatch.setattr("tests.e2e.phases.diagnostics.dump", lambda _: None)
    return folder


def _run(cluster: _Cluster, *, keep: bool = False) -> int:
    options = Namespace(cluster="kind", family="ipv4", plan="scenario", values=[], built=False, keep=keep)
    return e2e._run(options, cast("Cluster", cluster))


@pytest.mark.parametrize("cause", [{"refuses": "NODES=3 is up, not NODES=1"}, {"mesh_in": "default"}])
def test_a_refusal_touches_neither_the_cluster_nor_what_was_found_out(
    out: Path, tmp_path: Path, cause: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = _Cluster(RunDir(tmp_path / "run"), **cause)  # type: ignore[arg-type]
    assert _run(cluster) == 1
    assert cluster.ended == 0
    assert (out / "junit.xml").read_text() == "of the run before"
    assert "this run started none" in capsys.readouterr().out


def test_a_kept_cluster_stays_after_a_failure_on_it(out: Path, tmp_path: Path) -> None:
    cluster = _Cluster(RunDir(tmp_path / "run"), mesh_in="hermes-e2e")
    assert _run(cluster) == 1
    assert cluster.ended == 0
    assert "it broke" in (out / "result.txt").read_text()


@pytest.mark.parametrize("fails", ["", "no engine"])
def test_a_cluster_that_the_run_began_is_ended(out: Path, tmp_path: Path, fails: str) -> None:
    cluster = _Cluster(RunDir(tmp_path / "run"), absent=True, fails=fails)
    assert _run(cluster) == 1
    assert cluster.ended == 1
    assert (out / "junit.xml").read_text() != "of the run before"


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ({"absent": True}, "kept: export KUBECONFIG=/kubeconfig"),
        ({"absent": True, "fails": "no engine"}, "nothing to keep: it did not come up"),
        ({"refuses": "another"}, "nothing to keep: nothing was begun"),
    ],
)
@pytest.mark.usefixtures("out")
def test_kept_is_said_only_of_a_cluster_that_is_up(
    tmp_path: Path, cluster: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(_Cluster(RunDir(tmp_path / "run"), **cluster), keep=True)
    said = capsys.readouterr().err
    assert told in said
    assert ("KUBECONFIG" in said) == told.startswith("kept")


def test_what_is_kept_is_neither_ended_nor_emptied() -> None:
    for plan in e2e.PLANS:
        kept = e2e.choose_phases(plan, keep=True)
        assert not [phase.name for phase in kept if phase.always or "deleted" in phase.name or "uninstall" in phase.name]
        assert e2e.choose_phases(plan, keep=False)[-1] is e2e.END


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Processes]:
    run_dir = RunDir(tmp_path / "run")
    run_dir.make()
    processes = Processes(run_dir)
    processes.start("dockerd", ["sleep", "600"])
    yield processes
    processes.stop("dockerd")


def test_an_ailing_cluster_that_came_up_is_refused_and_a_wreck_is_not(running: Processes) -> None:
    run_dir = running.run
    remains.refuse_ailing(run_dir, "node a is not", cure="end it")  # a start that was broken off
    run_dir.came_up.touch()
    with pytest.raises(RefusedError, match="not ready: node a is not; end it"):
        remains.refuse_ailing(run_dir, "node a is not", cure="end it")
    running.stop("dockerd")
    remains.refuse_ailing(run_dir, "its engine ended", cure="end it")  # nothing of it runs
