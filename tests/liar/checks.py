"""What must hold among honest nodes while a member lies, by their logs, metrics, memory, and what they say of each other."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hermes_client.scenario.local_mesh import LocalNode
from hermes_node.mesh.joining import REJOIN_INTERVAL_S
from hermes_node.mesh.unmet import LOST_AT_ONCE, MAX_RETRIES, RETRIES_A_SECOND

LEAST_KINDS: Final = 20
"""Fields that were lied in, or the run says nothing."""
DIALS_A_SECOND: Final = RETRIES_A_SECOND + LOST_AT_ONCE / REJOIN_INTERVAL_S
"""Of one node, at members that it never met, besides one for each."""
CONNECTIONS_A_DIAL: Final = 2
"""gRPC tries again by itself while a dial lasts."""
SUSPECT_S: Final = 3.0
"""Of an honest node that answers: the time of an accusation and of its answer, and of a machine that has other work."""
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
LIES_METRIC: Final = "hermes_mesh_lies_total"
REFUSED_METRIC: Final = "hermes_mesh_streams_refused_total"
NAMING: Final = ("peer_lied", "peer_refused")


@dataclass(slots=True)
class Findings:
    """`broken`: every promise that was, in words. `named`: at how many honest nodes the liar was, by what."""

    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    messages: int = 0
    chats: int = 0
    lies: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    grown: int = 0
    third_party: int = 0
    names: int = 0
    """The most that an honest node holds for members, made-up ones among them."""
    late_s: float = 0.0
    suspect_s: float = 0.0
    named: Counter[str] = field(default_factory=Counter)

    def describe(self) -> str:
        named = ", ".join(f"{what} at {count}" for what, count in sorted(self.named.items()))
        lines = [
            f"{sum(self.lies.values())} lies in {len(self.lies)} places in {self.seconds:.0f} s, {self.restarts} restarts",
            f"{self.messages} messages of lasting chats, {self.chats} chats that began and were deleted, between honest apps",
            f"at most {self.grown / 2**20:.0f} MiB more in an honest node, {self.third_party} connections at third parties",
            f"an honest node was suspect for {self.suspect_s:.1f} s, this process late by {self.late_s:.1f} s at most",
            f"named by {named or 'nothing'}",
            *(f"BROKEN: {text}" for text in self.broken),
        ]
        return "\n".join(lines)

    def judge(self, honest: int) -> None:
        """What can be said at the end alone."""
        dials = (honest + 1) * (self.names + MAX_RETRIES + DIALS_A_SECOND * self.seconds)  # the liar's node is one as well
        if self.third_party > CONNECTIONS_A_DIAL * dials:
            self.broken.append(f"{self.third_party} connections at a third party in {self.seconds:.0f} s")
        if self.suspect_s > SUSPECT_S + self.late_s:
            self.broken.append(f"an honest node was held suspect for {self.suspect_s:.1f} s")
        if len(self.lies) < LEAST_KINDS:
            self.broken.append(f"only {len(self.lies)} places were lied in")
        if not self.messages:
            self.broken.append("no honest message arrived")
        if self.named["the log"] < honest:
            self.broken.append(f"the liar is named in the log of {self.named['the log']} of {honest} honest nodes")
        if not (self.named["peer_lied"] and self.named[LIES_METRIC]):
            self.broken.append("nobody names the liar for what only a liar says")


@dataclass(slots=True)
class Standings:
    """What honest nodes say of honest nodes, asked again and again; `since`: when one was first seen suspect."""

    honest: frozenset[str]
    findings: Findings
    since: dict[tuple[str, str], float] = field(default_factory=dict)

    def take(self, at: str, members: Iterable[dict[str, Any]], now: float) -> None:
        states = {member["node_id"]: member["state"] for member in members}
        for name in self.honest - {at}:
            state = states.get(name, "forgotten")
            if state == "alive":
                self.since.pop((at, name), None)
                continue
            since = self.since.setdefault((at, name), now)
            self.findings.suspect_s = max(self.findings.suspect_s, now - since)
            if state != "suspect":
                self.findings.broken.append(f"{at} holds {name} {state}")


def read_resident(pid: int) -> int:
    """Bytes of memory of a process that are in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def check_logs(honest: Iterable[LocalNode], liar: str, findings: Findings) -> None:
    """No defect, and nobody is named but the liar."""
    names = {node.node_id for node in honest}
    for node in honest:
        naming: set[str] = set()
        for line in node.log_path.read_text(errors="replace").splitlines():
            if not line.startswith("{"):
                if line.strip():
                    findings.broken.append(f"{node.node_id} wrote what is no event: {line[:160]}")
                continue
            event = json.loads(line)
            match event:
                case {"event": "unexpected_error" | "library_message" | "node_failed"}:
                    findings.broken.append(f"{node.node_id}: {line[:400]}")
                case {"event": "peer_lied", "peer": peer} if peer in names:
                    findings.broken.append(f"{node.node_id} names an honest node: {line[:400]}")
                case {"event": "peer_state", "peer": peer, "after": "dead" | "left"} if peer in names:
                    findings.broken.append(f"{node.node_id}: {line[:400]}")
            if event["event"] in NAMING and liar in (event.get("peer"), *event.get("certificate", "").split(",")):
                naming.add(event["event"])
        findings.named.update(naming | ({"the log"} if naming else set()))


def check_metrics(text: str, findings: Findings) -> None:
    """A node's metrics: which of those that tell of liars rose."""
    for name in (LIES_METRIC, REFUSED_METRIC):
        if sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{")):
            findings.named[name] += 1
