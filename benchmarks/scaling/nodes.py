"""What a node process has used so far: CPU, memory of its own, and its keystore on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hermes_client.scenario.local_mesh import LocalNode

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12
"""Fields of /proc/PID/stat behind the name (proc(5))."""


@dataclass(frozen=True, slots=True)
class Used:
    """`cpu_s`: seconds; `memory`, `disk`: bytes."""

    cpu_s: float
    memory: int
    disk: int

    def __sub__(self, other: Used) -> Used:
        return Used(self.cpu_s - other.cpu_s, self.memory - other.memory, self.disk - other.disk)

    def __add__(self, other: Used) -> Used:
        return Used(self.cpu_s + other.cpu_s, self.memory + other.memory, self.disk + other.disk)


def look(node: LocalNode) -> Used:
    process = Path("/proc") / str(node.pid)
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    memory = next(line for line in (process / "status").read_text().splitlines() if line.startswith("RssAnon:"))
    disk = sum(file.stat().st_size for file in node.folder.glob("keystore.db*"))
    return Used((int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS, int(memory.split()[1]) * 1024, disk)


def look_at_all(nodes: list[LocalNode]) -> Used:
    total = Used(0.0, 0, 0)
    for node in nodes:
        total = total + look(node)
    return total
