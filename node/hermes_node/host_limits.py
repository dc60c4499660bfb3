"""CPUs and memory that this process may use, as affinity and control groups give them, and what fronts need of them.

Control groups: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max, memory.max),
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html and https://docs.kernel.org/scheduler/sched-bwc.html for version 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path, PurePosixPath
from typing import Final

from hermes_core.limits import OWNER_BYTES

MAX_FRONTS: Final = 8
_NO_LIMIT_BYTES: Final = 1 << 62
"""Version 1 writes the greatest number of pages in place of none."""
_OCTAL: Final = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


@dataclass(frozen=True, slots=True)
class HostLimits:
    """`cpus` may be a fraction; `memory_bytes` is None where no control group limits it."""

    cpus: float
    memory_bytes: int | None


def default_fronts(cpus: float, *, loopback: bool) -> int:
    """As many as leave the owner a CPU, one at least; none where nobody but this machine can come."""
    return 0 if loopback else min(MAX_FRONTS, max(1, int(cpus) - 1))


def find_memory_problem(limits: HostLimits, fronts: int, front_bytes: int) -> str:
    """Empty when the fronts at their limits, and a node beside them, stay below what one OOM kill would end together."""
    if limits.memory_bytes is None or not fronts:
        return ""
    needed = fronts * front_bytes + OWNER_BYTES
    if needed <= limits.memory_bytes:
        return ""
    fitting = max(0, (limits.memory_bytes - OWNER_BYTES) // front_bytes)
    cure = f"{fitting} would fit" if fitting else "not even one fits"
    return (
        f"{fronts} of {_mib(front_bytes)} and {_mib(OWNER_BYTES)} for the node are {_mib(needed)}; this process and its fronts"
        f" may use {limits.memory_bytes >> 20:,} MiB: {cure}"
    )


def read_host_limits(root: Path = Path("/"), read_affinity: Callable[[], int] | None = None) -> HostLimits:
    """Where the system tells nothing (no Linux, no /proc), all CPUs and no limit."""
    cpus, memory = float((read_affinity or _count_cpus)()), inf
    for folder in _folders(root):
        cpus = min(cpus, _read_quota(folder))
        memory = min(memory, _read_memory(folder))
    return HostLimits(cpus, None if memory == inf else int(memory))


def _count_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _mib(size: int) -> str:
    """Rounded up, as what is needed is."""
    return f"{-(-size >> 20):,} MiB"


@dataclass(frozen=True, slots=True)
class _Mount:
    """One hierarchy: where it is mounted, which of its groups is seen there, and for version 1 its controllers."""

    point: str
    top: PurePosixPath
    controllers: frozenset[str] | None


def _folders(root: Path) -> Iterator[Path]:
    """Of the groups this process is in, and of those above them: each may limit it."""
    groups = dict(_read_groups(_read(root / "proc/self/cgroup")))
    for mount in _read_mounts(_read(root / "proc/self/mountinfo")):
        key = next((name for name in groups if name in mount.controllers), None) if mount.controllers is not None else ""
        if key is None or key not in groups:
            continue
        group = groups[key]
        # A container sees its own group as the top, and is told its path on the machine (version 1), or "/" (a namespace).
        inside = group.relative_to(mount.top) if group.is_relative_to(mount.top) else PurePosixPath()
        folder = root / mount.point.lstrip("/")
        yield folder
        for part in inside.parts:
            if part == "..":  # above what this process may see
                break
            if part != "/":
                folder /= part
                yield folder


def _read_groups(text: str) -> Iterator[tuple[str, PurePosixPath]]:
    """By controller; "" is version 2."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            if name in {"", "cpu", "memory"}:
                yield name, PurePosixPath(path)


def _read_mounts(text: str) -> Iterator[_Mount]:
    """https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            top, point = (_unescape(part) for part in before.split(" ")[3:5])
            found = frozenset(options.split(",")) & {"cpu", "memory"} if kind == "cgroup" else None
            yield _Mount(point, PurePosixPath(top), found)


def _unescape(text: str) -> str:
    for written, meant in _OCTAL.items():
        text = text.replace(written, meant)
    return text


def _read_quota(folder: Path) -> float:
    """CPUs; inf without a limit."""
    if text := _read(folder / "cpu.max"):
        quota, period = text.split()
    else:
        quota, period = _read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else inf


def _read_memory(folder: Path) -> float:
    text = (_read(folder / "memory.max") or _read(folder / "memory.limit_in_bytes")).strip()
    return float(text) if text.isdecimal() and int(text) < _NO_LIMIT_BYTES else inf


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
