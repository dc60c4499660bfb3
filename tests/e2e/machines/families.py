"""Each family of addresses that the cluster has: pods reach each other, Services answer, names resolve, nothing gets out."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from hermes_operator import names
from tests.e2e.harness.versions import CLUSTER_DOMAIN
from tests.e2e.harness.wait import until
from tests.e2e.machines.place import kind_cluster
from tests.e2e.phases.context import IMAGE, MESH, NAMESPACE, REPLICAS, require

if TYPE_CHECKING:
    from tests.e2e.harness.kubectl import Manifest
    from tests.e2e.phases.context import Run

POD = "hermes-e2e-family"
PODS_NAMESPACE = "default"
PORT = 8080  # in a pod, which has all ports to itself
READY_S = 60.0
ANSWER_S = 30.0
FAMILY_OF_KUBERNETES = {4: "IPv4", 6: "IPv6"}
_FAMILY_OF_SOCKETS = {4: socket.AF_INET, 6: socket.AF_INET6}

_SERVE = f"""\
import socket
server = socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    connection, _ = server.accept()
    connection.sendall(socket.gethostname().encode())
    connection.close()
"""
_CONNECT = "import socket, sys; connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
_ASK = f"{_CONNECT}; print(connection.recv(99).decode())"
_RESOLVE = "import socket, sys; print(*sorted({found[4][0] for found in socket.getaddrinfo(sys.argv[1], None)}))"


def reach_in_each_family(run: Run) -> str:
    """Let a pod on one machine ask one on another: by its addresses, by a Service of each family, by the Services' names."""
    versions = kind_cluster(run).family.versions
    machines = kind_cluster(run).node_names()
    require(len(machines) > 1, "one machine", "use --nodes 2: pods of one machine reach each other without any route")
    run.kubectl.apply(*(build_pod(number, machine) for number, machine in enumerate(machines[:2])))
    run.kubectl.apply(*(build_service(version) for version in versions))
    asked = run.kubectl.wait_pod_ready(PODS_NAMESPACE, f"{POD}-1", within_s=READY_S)
    addresses = addresses_of(asked)
    require(tuple(addresses) == versions, f"a pod has {addresses}, not one of each of {versions}", "read kindnetd's log")
    run.kubectl.wait_pod_ready(PODS_NAMESPACE, f"{POD}-0", within_s=READY_S)
    for version, address in addresses.items():
        _await_answer(run, f"the pod's IPv{version} address", address)
        service = run.kubectl.get("service", "-n", PODS_NAMESPACE, service_name(version)) or {}
        _await_answer(run, f"the Service's IPv{version} address", service["spec"]["clusterIP"])
        name = f"{service_name(version)}.{PODS_NAMESPACE}.svc.{CLUSTER_DOMAIN}"
        resolved = _in_pod(run, _RESOLVE, name).stdout.strip()
        require(resolved == service["spec"]["clusterIP"], f"{name} is {resolved or 'not known'}", "read the log of CoreDNS")
        _await_answer(run, "the Service's name", name)
        _require_nothing_gets_out(run, version)
    run.kubectl.run("delete", "pod", "-n", PODS_NAMESPACE, f"{POD}-0", f"{POD}-1", "--force", "--grace-period=0")
    run.kubectl.run("delete", "service", "-n", PODS_NAMESPACE, *map(service_name, versions))
    return f"pod, Service and name in {' and '.join(FAMILY_OF_KUBERNETES[version] for version in versions)}; nothing gets out"


def reach_mesh_in_each_family(run: Run) -> str:
    """The ports of every node answer at each address of its pod.

    The Services have the cluster's first family alone: the operator does not set `ipFamilyPolicy`.
    """
    versions = kind_cluster(run).family.versions
    run.kubectl.apply(build_pod(0, kind_cluster(run).node_names()[0]))
    run.kubectl.wait_pod_ready(PODS_NAMESPACE, f"{POD}-0", within_s=READY_S)
    ports = (names.APP_PORT, names.MESH_PORT, names.ADMIN_PORT)
    for pod in (f"{MESH}-{number}" for number in range(REPLICAS)):
        addresses = addresses_of(run.kubectl.wait_pod_ready(NAMESPACE, pod))
        require(tuple(addresses) == versions, f"{pod} has {addresses}", f"kubectl describe pod -n {NAMESPACE} {pod}")
        dead = [(at, port) for at in addresses.values() for port in ports if not _connects(run, at, port)]
        require(not dead, f"{pod} does not listen on {dead}", f"kubectl logs -n {NAMESPACE} {pod}")
    run.kubectl.run("delete", "pod", "-n", PODS_NAMESPACE, f"{POD}-0", "--force", "--grace-period=0")
    first = [FAMILY_OF_KUBERNETES[versions[0]]]
    services = (run.kubectl.get("services", "-n", NAMESPACE) or {"items": []})["items"]
    found = {service["metadata"]["name"]: service["spec"]["ipFamilies"] for service in services}
    require(found and all(families == first for families in found.values()), f"Services of {found}", f"expected {first} only")
    return f"ports {', '.join(map(str, ports))} at {len(versions)} address(es) of each pod; Services of {first[0]} alone"


def addresses_of(pod: Manifest) -> dict[int, str]:
    """Return version → address, the pod's first one first."""
    return {ip_address(entry["ip"]).version: entry["ip"] for entry in pod["status"].get("podIPs", [])}


def build_pod(number: int, machine: str) -> Manifest:
    """Return a pod on that machine that answers with its name, at each of its addresses."""
    container: dict[str, Any] = {"name": "family", "image": IMAGE, "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{POD}-{number}", "namespace": PODS_NAMESPACE, "labels": {"app": f"{POD}-{number}"}},
        "spec": {
            "nodeName": machine,
            "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{**container, "command": ["python3", "-c", _SERVE]}],
        },
    }


def service_name(version: int) -> str:
    """Return the name of the Service of that version."""
    return f"{POD}-ipv{version}"


def build_service(version: int) -> Manifest:
    """Return a Service of one family that leads to the second pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service_name(version), "namespace": PODS_NAMESPACE},
        "spec": {
            "selector": {"app": f"{POD}-1"},
            "ipFamilyPolicy": "SingleStack",
            "ipFamilies": [FAMILY_OF_KUBERNETES[version]],
            "ports": [{"port": PORT}],
        },
    }


def _in_pod(run: Run, program: str, *words: str) -> Any:
    return run.kubectl.attempt("exec", "-n", PODS_NAMESPACE, f"{POD}-0", "--", "python3", "-c", program, *words)


def _connects(run: Run, address: str, port: int) -> bool:
    return bool(_in_pod(run, _CONNECT, address, str(port)).returncode == 0)


def _await_answer(run: Run, what: str, host: str) -> None:
    cure = "read the logs of kindnetd and kube-proxy"
    until(
        f"an answer at {what} ({host})",
        lambda: _in_pod(run, _ASK, host, str(PORT)).stdout.strip() == f"{POD}-1",
        within_s=ANSWER_S,
        cure=cure,
        poll_s=0.3,
    )


def _require_nothing_gets_out(run: Run, version: int) -> None:
    """This machine reaches the pod, by the very link on which the pod does not reach this machine."""
    link = kind_cluster(run).engine.namespace
    pod = addresses_of(run.kubectl.wait_pod_ready(PODS_NAMESPACE, f"{POD}-0"))[version]
    socket.create_connection((pod, PORT), timeout=ANSWER_S).close()
    here = link.host_address(version)
    with socket.create_server((here, 0), family=_FAMILY_OF_SOCKETS[version]) as server:
        require(not _connects(run, here, server.getsockname()[1]), f"a pod reaches {here}", f"see the rules in {link.path}")
