"""The engine beside another one: settings of its own, and what its end is checked for."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.harness.choose import choose_cluster
from tests.e2e.harness.complaints import complaints
from tests.e2e.harness.kind import cgroups
from tests.e2e.harness.kind.engine import Engine, build_settings, major_version
from tests.e2e.harness.kind.oci_runtime import SYS_RESOURCE, may_have
from tests.e2e.harness.kind.teardown import KindTeardown
from tests.e2e.harness.leftovers import describe_clean, find_leftovers
from tests.e2e.harness.paths import RunDir
from tests.e2e.harness.probe import build_probe, other_versions


def test_the_kinds_have_no_folder_in_common() -> None:
    roots = {choose_cluster(kind).run_dir.root for kind in ("local", "kind", "existing")}
    assert len(roots) == 3


def test_everything_of_the_engine_is_below_its_run_folder(tmp_path: Path) -> None:
    engine = Engine(RunDir(tmp_path))
    for major in (20, 24, 26):
        settings = build_settings(engine, Path("/usr/sbin/runc"), major)
        assert ("oom-score-adjust" in settings) == (major < 25)
        assert ("deprecated-key-path" in settings) == (major < 23)
        for name in ("containerd", "data-root", "exec-root", "pidfile"):
            assert str(settings[name]).startswith(f"{tmp_path}/")
    assert major_version("Docker version 20.10.24+dfsg1, build 5d6db84") == 20
    assert major_version("") == 0


def test_a_capability_is_read_from_the_bounding_set() -> None:
    assert not may_have(SYS_RESOURCE, "Name:\tx\nCapBnd:\t000001fffeffffff\n")
    assert may_have(SYS_RESOURCE, "CapBnd:\t000001ffffffffff\n")


def test_control_groups_are_found_in_both_versions(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "run")
    name = cgroups.parent_name(run_dir)
    (tmp_path / "cpu" / name).mkdir(parents=True)
    (tmp_path / "cpu,cpuacct").symlink_to("cpu")
    (tmp_path / "memory" / "another").mkdir(parents=True)
    assert cgroups.parents(run_dir, tmp_path)[0] == tmp_path / "cpu" / name
    (tmp_path / name).mkdir()
    assert tmp_path / name in cgroups.parents(run_dir, tmp_path)


def test_names_outside_the_run_folder_are_of_it_alone() -> None:
    one, other = (Engine(RunDir(Path(cache) / "hermes-e2e" / "run-kind")) for cache in ("/here", "/there"))
    assert cgroups.parent_name(one.run_dir) != cgroups.parent_name(other.run_dir)
    assert one.namespace.device != other.namespace.device
    assert len(one.namespace.device) <= 15


def test_a_report_names_just_what_was_looked_for() -> None:
    looks = {"process": lambda: [7], "mount": list}
    assert find_leftovers(looks) == ["process: 7"]
    assert describe_clean(looks) == "no process or mount left"
    assert describe_clean({}) == "nothing here is ours, nothing was looked for"


def test_the_end_of_an_engine_is_checked_for_each_kind_of_thing(tmp_path: Path) -> None:
    teardown = KindTeardown(RunDir(tmp_path / "run"))
    assert {"container", "network", "volume", "cgroup", "network namespace", "file of the engine"} <= set(teardown.looks())
    assert find_leftovers(teardown.looks()) == []
    volume = tmp_path / "run" / "engine" / "data" / "volumes" / "v"
    volume.mkdir(parents=True)
    assert find_leftovers(teardown.looks()) == [f"volume: {volume}", f"file of the engine: {tmp_path / 'run'}"]


def test_kube_proxy_s_errors_are_complaints_and_its_information_is_not() -> None:
    log = "I0101 10:00:00.000000 1 server.go] fine\nE0101 10:00:00.000000 1 proxier.go] no libm\n  a line in between\n"
    log += (
        'E0101 10:00:00.000000 1 server.go] "Kube-proxy configuration may be incomplete" err="nodePortAddresses is unset; x"\n'
    )
    assert complaints(log) == ["E0101 10:00:00.000000 1 proxier.go] no libm"]


def test_a_probe_is_bound_to_its_node_and_other_versions_are_told() -> None:
    probe = build_probe("worker", 1, "image", ["true"])
    assert probe["spec"]["nodeName"] == "worker"
    nodes = [{"metadata": {"name": "worker"}, "status": {"nodeInfo": {"kubeletVersion": "v1.0.0"}}}]
    assert other_versions(nodes, "v1.0.0") == []
    assert other_versions(nodes, "v1.0.1") == ["worker has v1.0.0"]
