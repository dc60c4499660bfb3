"""What the phases on several machines read and write, without a cluster."""

from __future__ import annotations

from typing import Any

from tests.e2e.machines.families import FAMILY_OF_KUBERNETES, addresses_of, build_pod, build_service, service_name
from tests.e2e.machines.loss import _at_home_in_the_middle
from tests.e2e.machines.place import CONTROL_PLANE, keep_from_harm
from tests.e2e.machines.silence import read_silences, tell_silences
from tests.e2e.run import OUT, name_folder, parse

VERDICT = (
    "PASS soak: 6/6 steps, 812 messages, 0 lost, 0 duplicated, 0 reordered, longest pause of a 31.2 s, longest pause of b 0.4 s"
)


def _job(addresses: str) -> dict[str, Any]:
    command = ["python3", "-m", "hermes_client.scenario", "--addresses", addresses, "--ca", "ca.crt"]
    return {"spec": {"template": {"spec": {"containers": [{"command": command}]}}}}


def test_silences_are_read_from_the_closing_line() -> None:
    assert read_silences(VERDICT) == {"a": 31.2, "b": 0.4}
    assert tell_silences(VERDICT) == "silent at most: a 31.2 s, b 0.4 s"


def test_a_verdict_without_silences_tells_so() -> None:
    assert tell_silences("PASS soak: 6/6 steps, 2 messages, 0 lost") == "no silence was measured"


def test_a_job_out_of_harms_way_is_on_the_control_plane() -> None:
    pod = keep_from_harm(_job("a:1"))["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {CONTROL_PLANE: ""}
    assert [toleration["key"] for toleration in pod["tolerations"]] == [CONTROL_PLANE]


def test_the_job_of_the_lost_begins_at_the_node_between() -> None:
    addresses = ",".join(f"demo-{number}.demo-nodes.ns.svc:8443" for number in range(3))
    command = _at_home_in_the_middle(_job(addresses))["spec"]["template"]["spec"]["containers"][0]["command"]
    assert [address[:6] for address in command[4].split(",")] == ["demo-1", "demo-0", "demo-2"]


def test_the_addresses_of_a_pod_are_told_by_version_the_first_one_first() -> None:
    pod = {"status": {"podIPs": [{"ip": "fd00::7"}, {"ip": "192.0.2.7"}]}}
    assert list(addresses_of(pod).items()) == [(6, "fd00::7"), (4, "192.0.2.7")]
    assert addresses_of({"status": {}}) == {}


def test_a_service_has_its_family_alone_and_leads_to_the_other_machine() -> None:
    asked = build_pod(1, "worker")
    for version, family in FAMILY_OF_KUBERNETES.items():
        service = build_service(version)
        assert (service["spec"]["ipFamilyPolicy"], service["spec"]["ipFamilies"]) == ("SingleStack", [family])
        assert service["metadata"]["name"] == service_name(version)
        assert service["spec"]["selector"].items() <= asked["metadata"]["labels"].items()
    assert asked["spec"]["nodeName"] == "worker"
    assert not build_service(4)["spec"]["selector"].items() <= build_pod(0, "worker")["metadata"]["labels"].items()


def test_runs_of_several_families_keep_what_they_found_out_apart() -> None:
    folders = {OUT / name_folder("kind", parse(["--family", family]).family) for family in ("ipv4", "ipv6", "dual")}
    assert len(folders) == 3
    assert OUT / "kind" in folders
