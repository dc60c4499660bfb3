"""The pod network: one bridge of our own, the CNI configuration, and the packet rules to remove afterwards."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import attempt, run
from .errors import RefusedError
from .versions import BRIDGE, CLUSTER_NAME, NODE_IP, POD_CIDR

if TYPE_CHECKING:
    from .paths import RunDir

CNI_BIN = Path("/usr/lib/cni")
CNI_RESULTS = Path("/var/lib/cni/results")  # fixed in the CNI library
CHAIN_PREFIXES = ("KUBE-", "CNI-")
PROGRAMS = ("iptables", "ip6tables")
TABLES = ("filter", "nat", "mangle", "raw")
NEED_ROOT = "run as root on a machine with netfilter"
# Pods talk to each other and to the node, and to nothing beyond this machine.
STAY_HERE = ("-i", BRIDGE, "!", "-o", BRIDGE, "-m", "comment", "--comment", CLUSTER_NAME, "-j", "REJECT")


def refuse_foreign_cluster() -> None:
    """Fail when another Kubernetes has packet rules here: ours would mix with them."""
    if foreign := [f"{program} {table} {chain}" for program, table, chain in _our_chains()]:
        raise RefusedError(
            f"packet rules of a Kubernetes are on this machine already ({foreign[0]})",
            "run `cluster.py down`, or use --cluster existing",
        )


def create_bridge() -> None:
    """Make the bridge before the apiserver starts: its address is the address the apiserver announces."""
    ip = ["ip", "link"]
    run([*ip, "add", BRIDGE, "type", "bridge"], cure="run `cluster.py down` first, as root")
    prefix = POD_CIDR.rpartition("/")[2]
    run(["ip", "address", "add", f"{NODE_IP}/{prefix}", "dev", BRIDGE], cure=NEED_ROOT)
    run([*ip, "set", BRIDGE, "up"], cure=NEED_ROOT)
    run(["iptables", "-w", "-I", "FORWARD", *STAY_HERE], cure=NEED_ROOT)


def write_cni_config(run_dir: RunDir) -> Path:
    """Write the network configuration and return its folder."""
    folder = run_dir.conf / "cni"
    folder.mkdir(exist_ok=True)
    config = {
        "cniVersion": "0.4.0",
        "name": CLUSTER_NAME,
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(run_dir.root / "ipam"),
                    "ranges": [[{"subnet": POD_CIDR, "rangeStart": "10.244.0.10", "gateway": NODE_IP}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    (folder / "10-hermes-e2e.conflist").write_text(json.dumps(config, indent=1))
    return folder


def bridge_exists() -> bool:
    """Say whether our bridge is there."""
    return (Path("/sys/class/net") / BRIDGE).exists()


def remove_network(run_dir: RunDir) -> None:
    """Remove the packet rules, the bridge and what the CNI library remembers of our pods."""
    while attempt(["iptables", "-w", "-D", "FORWARD", *STAY_HERE]).returncode == 0:
        pass  # each call removes one; a crashed run may have left more than one
    for program in PROGRAMS:
        for table in TABLES:
            _remove_chains(program, table)
    for veth in _bridge_ports():
        attempt(["ip", "link", "delete", veth])
    if bridge_exists():
        run(["ip", "link", "delete", BRIDGE], cure=NEED_ROOT)
    for result in cni_results(run_dir):
        with suppress(FileNotFoundError):
            result.unlink()


def cni_results(run_dir: RunDir) -> list[Path]:
    """Return the files in which the CNI library remembers our pods: they name a namespace in the run folder."""
    if not CNI_RESULTS.is_dir():
        return []
    ours = f"{run_dir.root}/"
    return [path for path in sorted(CNI_RESULTS.iterdir()) if path.is_file() and ours in path.read_text(errors="replace")]


def left_rules() -> list[str]:
    """Return the packet rules that are still there."""
    found = [" ".join(chain) for chain in _our_chains()]
    if attempt(["iptables", "-w", "-C", "FORWARD", *STAY_HERE]).returncode == 0:
        found.append("the FORWARD rule of the bridge")
    return found


def left_bridges() -> list[str]:
    """Return our bridge when it is still there."""
    return [BRIDGE] if bridge_exists() else []


def _bridge_ports() -> list[str]:
    folder = Path("/sys/class/net") / BRIDGE / "brif"
    return sorted(port.name for port in folder.iterdir()) if folder.is_dir() else []


def _our_chains() -> list[tuple[str, str, str]]:
    return [(program, table, chain) for program in PROGRAMS for table in TABLES for chain in _chains(program, table)]


def _chains(program: str, table: str) -> list[str]:
    rules = attempt([program, "-w", "-t", table, "-S"]).stdout.splitlines()
    declared = [rule.split()[1] for rule in rules if rule.startswith("-N ")]
    return [chain for chain in declared if chain.startswith(CHAIN_PREFIXES)]


def _remove_chains(program: str, table: str) -> None:
    """Rewrite one table without our chains in a single transaction; rules of others are not touched."""
    ours = _chains(program, table)
    if not ours:
        return
    rules = attempt([program, "-w", "-t", table, "-S"]).stdout.splitlines()
    script = [f"*{table}"]
    for rule in rules:
        words = rule.split()
        if words[0] == "-A" and words[1] not in ours and any(chain in words for chain in ours):
            script.append("-D " + rule.removeprefix("-A "))
    script += [f"-F {chain}" for chain in ours]
    script += [f"-X {chain}" for chain in ours]
    script.append("COMMIT\n")
    run([f"{program}-restore", "-w", "--noflush"], stdin="\n".join(script), cure=f"see `{program} -t {table} -S`")
