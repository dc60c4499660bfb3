"""What a process may use, from files as systems have them: nested groups, both versions, with and without a namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_node.host_limits import HostLimits, default_fronts, find_memory_problem, read_host_limits

MIB = 1024 * 1024

POD = {  # version 2 with a namespace of its own, which is what Kubernetes gives
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": (
        "512 475 0:96 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
        "1021 1020 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot\n"
    ),
    "sys/fs/cgroup/cpu.max": "250000 100000\n",
    "sys/fs/cgroup/memory.max": "536870912\n",
}
SERVICE = {  # version 2, a service whose slice is tighter than itself in memory
    "proc/self/cgroup": "0::/system.slice/hermes.service\n",
    "proc/self/mountinfo": (
        "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    ),
    "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
    "sys/fs/cgroup/system.slice/memory.max": "1073741824\n",
    "sys/fs/cgroup/system.slice/hermes.service/cpu.max": "50000 100000\n",
    "sys/fs/cgroup/system.slice/hermes.service/memory.max": "max\n",
}
DOCKER_1 = {  # version 1: the path is the machine's, and the mount shows that group as its top
    "proc/self/cgroup": "7:memory:/docker/0aa1\n4:cpu,cpuacct:/docker/0aa1\n1:name=systemd:/docker/0aa1\n0::/system.slice\n",
    "proc/self/mountinfo": (
        "700 690 0:29 /docker/0aa1 /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:13 - cgroup cgroup rw,memory\n"
        "701 690 0:33 /docker/0aa1 /sys/fs/cgroup/cpu,cpuacct ro,nosuid,relatime master:17 - cgroup cgroup rw,cpu,cpuacct\n"
    ),
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
}
MACHINE_1 = {  # version 1 beside an empty version 2, without limits
    "proc/self/cgroup": "4:memory:/agent/8368\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/\n",
    "proc/self/mountinfo": (
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
    ),
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/agent/8368/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
}
ODD_NAMES = {  # a mount point with a space, and a group of which only a part may be seen
    "proc/self/cgroup": "0::/../../other\n",
    "proc/self/mountinfo": "35 24 0:30 / /sys/my\\040groups rw - cgroup2 cgroup2 rw\n",
    "sys/my groups/memory.max": "1048576\n",
    "sys/my groups/cpu.max": "100000 100000\n",
}


def _read(tmp_path: Path, files: dict[str, str], cpus: int = 4) -> HostLimits:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_host_limits(tmp_path, lambda: cpus)


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        (POD, HostLimits(2.5, 512 * MIB)),
        (SERVICE, HostLimits(0.5, 1024 * MIB)),
        (DOCKER_1, HostLimits(1.5, 256 * MIB)),
        (MACHINE_1, HostLimits(4, None)),
        (ODD_NAMES, HostLimits(1, MIB)),
        ({}, HostLimits(4, None)),
    ],
    ids=["pod", "service", "docker of version 1", "machine of version 1", "odd names", "no Linux"],
)
def test_limits_of_a_system(tmp_path: Path, files: dict[str, str], limits: HostLimits) -> None:
    assert _read(tmp_path, files) == limits


def test_affinity_counts_where_it_is_less(tmp_path: Path) -> None:
    assert _read(tmp_path, POD, cpus=2).cpus == 2


def test_this_machine_has_cpus() -> None:
    assert read_host_limits().cpus > 0


@pytest.mark.parametrize(("cpus", "fronts"), [(0.5, 1), (1, 1), (2, 1), (2.9, 1), (3, 2), (4, 3), (4.9, 3), (9, 8), (64, 8)])
def test_fronts_leave_the_owner_a_cpu(cpus: float, fronts: int) -> None:
    assert default_fronts(cpus, loopback=False) == fronts
    assert default_fronts(cpus, loopback=True) == 0


def test_memory_fits_to_the_byte() -> None:
    needed = (2 * 192 + 128) * MIB
    assert find_memory_problem(HostLimits(4, needed), 2, 192 * MIB) == ""
    assert find_memory_problem(HostLimits(4, needed - 1), 2, 192 * MIB) == (
        "2 of 192 MiB and 128 MiB for the node are 512 MiB; this process and its fronts may use 511 MiB: 1 would fit"
    )


def test_what_cannot_fit_is_told_as_such() -> None:
    problem = find_memory_problem(HostLimits(4, 256 * MIB), 3, 192 * MIB)
    assert problem.endswith("are 704 MiB; this process and its fronts may use 256 MiB: not even one fits")


def test_without_a_limit_or_without_fronts_nothing_is_asked() -> None:
    assert find_memory_problem(HostLimits(4, None), 8, 192 * MIB) == ""
    assert find_memory_problem(HostLimits(4, MIB), 0, 192 * MIB) == ""
