"""The network namespace of the engine: its bridges and packet rules never touch the machine's, and go when it goes.

One pair of virtual devices leads into it, so that programs of this machine reach nodes and pods; nothing leads out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.harness.commands import attempt, run

from .subnets import parse_routes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv4Network

    from tests.e2e.harness.paths import RunDir

    from .subnets import Subnets

INNER_DEVICE = "uplink"
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

    def connect(self, subnets: Subnets) -> None:
        """Lead this machine to the whole block; what is inside may answer, and begin nothing.

        To be called once the engine's networks are there: it puts rules for each before all others.
        """
        inner: list[str | Path] = ["peer", "name", INNER_DEVICE, "netns", self.path]
        run(["ip", "link", "add", self.device, "type", "veth", *inner], cure="run `cluster.py down --cluster kind` first")
        self._raise_end([], self.device, f"{subnets.host_end}/{subnets.link_prefix}")
        self._raise_end(self.argv(), INNER_DEVICE, f"{subnets.namespace_end}/{subnets.link_prefix}")
        run(["ip", "route", "add", str(subnets.block), "via", str(subnets.namespace_end)], cure="see `ip route`")
        accept = ["-i", INNER_DEVICE, "-j", "ACCEPT"]
        refuse = ["-o", INNER_DEVICE, "-m", "conntrack", "--ctstate", "NEW", "-j", "REJECT"]
        # Before those of the engine: they let containers out, and drop what is addressed to them (newer ones in the raw table).
        for rule in (["-t", "raw", "-I", "PREROUTING", *accept], ["-I", "FORWARD", *accept], ["-I", "FORWARD", *refuse]):
            run(self.argv("iptables", "-w", *rule), cure=NEED_ROOT)
        run(self.argv("iptables", "-w", "-I", "OUTPUT", *refuse), cure=NEED_ROOT)

    def _raise_end(self, inside: Sequence[str | Path], device: str, address: str) -> None:
        run([*inside, "ip", "address", "add", address, "dev", device], cure=NEED_ROOT)
        run([*inside, "ip", "link", "set", device, "up"], cure=NEED_ROOT)

    def lead_to_pods(self, pods: IPv4Network, node: IPv4Address) -> None:
        """Add the one route that a node's pods need."""
        run(self.argv("ip", "route", "replace", str(pods), "via", str(node)), cure=f"is {node} in the engine's network?")

    def is_connected(self) -> bool:
        """Say whether the link is there."""
        return (Path("/sys/class/net") / self.device).exists()

    def routes(self) -> list[IPv4Network]:
        """Return this machine's routes through the link."""
        listed = attempt(["ip", "-json", "-4", "route", "show", "table", "all", "dev", self.device])
        return parse_routes(listed.stdout) if listed.returncode == 0 else []

    def remove(self) -> None:
        """Remove the link, and with it its routes, and let the namespace go with everything in it; safe to repeat."""
        if self.is_connected():
            run(["ip", "link", "delete", self.device], cure=NEED_ROOT)
        if self.path.exists():
            attempt(["umount", self.path])
            self.path.unlink(missing_ok=True)
