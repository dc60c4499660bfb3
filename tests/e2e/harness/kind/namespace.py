"""The network namespace of the engine: its bridges and packet rules never touch the machine's, and go when it goes.

One pair of virtual devices leads into it, so that programs of this machine reach nodes and pods; nothing leads out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.harness.commands import attempt, run
from tests.e2e.harness.wait import until

from .subnets import parse_routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.harness.paths import RunDir

    from .subnets import Address, Network, Subnets

INNER_DEVICE = "uplink"
PACKET_RULES = {4: "iptables", 6: "ip6tables"}
"""The program that sets the packet rules of each version."""
GONE_S = 10.0
NEED_ROOT = "run as root on a machine with network namespaces"


@dataclass(frozen=True)
class Namespace:
    """The namespace of one run folder: a file there holds it."""

    run_dir: RunDir

    @property
    def path(self) -> Path:
        """The file that it is mounted on."""
        return self.run_dir.root / "netns"

    @property
    def device(self) -> str:
        """This machine's end of the link; such a name holds fifteen letters."""
        return f"hermes-{self.run_dir.mark}"

    def argv(self, *words: str | Path) -> list[str | Path]:
        """Return a command that runs inside."""
        return ["nsenter", f"--net={self.path}", "--", *words]

    def create(self) -> None:
        """Make it, with nothing but loopback."""
        self.path.touch()
        run(["unshare", f"--net={self.path}", "ip", "link", "set", "lo", "up"], cure=NEED_ROOT)

    def connect(self, blocks: Sequence[Subnets]) -> None:
        """Lead this machine to whole blocks; what is inside may answer, and begin nothing.

        To be called once the engine's networks are there: it puts rules for each before all others.
        """
        inner: list[str | Path] = ["peer", "name", INNER_DEVICE, "netns", self.path]
        run(["ip", "link", "add", self.device, "type", "veth", *inner], cure="run `cluster.py down --cluster kind` first")
        for subnets in blocks:
            self._add_address([], self.device, f"{subnets.host_end}/{subnets.link_prefix}")
            self._add_address(self.argv(), INNER_DEVICE, f"{subnets.namespace_end}/{subnets.link_prefix}")
        run(["ip", "link", "set", self.device, "up"], cure=NEED_ROOT)
        run(self.argv("ip", "link", "set", INNER_DEVICE, "up"), cure=NEED_ROOT)
        for subnets in blocks:
            run(["ip", "route", "add", str(subnets.block), "via", str(subnets.namespace_end)], cure="see `ip route`")
            self._let_nothing_out(PACKET_RULES[subnets.version])

    def _add_address(self, inside: Sequence[str | Path], device: str, address: str) -> None:
        # Of version 6 an address serves only after a second of asking whether anybody has it; there is nobody on this link.
        certain = ["nodad"] if ":" in address else []
        run([*inside, "ip", "address", "add", address, "dev", device, *certain], cure=NEED_ROOT)

    def _let_nothing_out(self, program: str) -> None:
        accept = ["-i", INNER_DEVICE, "-j", "ACCEPT"]
        refuse = ["-o", INNER_DEVICE, "-m", "conntrack", "--ctstate", "NEW", "-j", "REJECT"]
        # Before those of the engine: they let containers out, and drop what is addressed to them (newer ones in the raw table).
        for rule in (["-t", "raw", "-I", "PREROUTING", *accept], ["-I", "FORWARD", *accept], ["-I", "FORWARD", *refuse]):
            run(self.argv(program, "-w", *rule), cure=NEED_ROOT)
        run(self.argv(program, "-w", "-I", "OUTPUT", *refuse), cure=NEED_ROOT)

    def lead_to_pods(self, pods: Network, node: Address) -> None:
        """Add the one route that a node's pods need."""
        run(self.argv("ip", "route", "replace", str(pods), "via", str(node)), cure=f"is {node} in the engine's network?")

    def host_address(self, version: int) -> str:
        """Return this machine's address on the link."""
        listed = run(["ip", "-json", f"-{version}", "address", "show", "dev", self.device, "scope", "global"], cure=NEED_ROOT)
        address: str = json.loads(listed)[0]["addr_info"][0]["local"]
        return address

    def is_connected(self) -> bool:
        """Say whether the link is there."""
        return (Path("/sys/class/net") / self.device).exists()

    def routes(self) -> list[Network]:
        """Return this machine's routes through the link."""
        found: list[Network] = []
        for version in PACKET_RULES:
            listed = attempt(["ip", "-json", f"-{version}", "route", "show", "table", "all", "dev", self.device])
            found += parse_routes(listed.stdout, version) if listed.returncode == 0 else []
        return found

    def remove(self) -> None:
        """Remove the link, and with it its routes, and let the namespace go with everything in it; safe to repeat.

        The link goes first: the kernel takes it away some time after a namespace that nothing holds any more.
        """
        if self.is_connected():
            done = attempt(["ip", "link", "delete", self.device])
            # Where the namespace went before, whoever is quicker removes it: what counts is that it goes.
            until(
                f"removal of the link {self.device} ({done.stderr.strip() or 'deleted'})",
                lambda: not self.is_connected(),
                within_s=GONE_S,
                cure="`ip link delete` it by hand as root, then `make e2e-down CLUSTER=kind`",
            )
        if self.path.exists():
            attempt(["umount", self.path])
            self.path.unlink(missing_ok=True)
