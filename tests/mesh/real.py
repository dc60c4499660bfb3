"""`python -m tests.mesh.real [--members 10] [--seconds 60]`: the load of real nodes at rest, beside what the simulator charges.

Nodes are processes on this machine, over TLS on loopback. Messages are their own counters', bytes those that their sockets' TCP
carried (`ss`), CPU what the kernel charged them, less that of a node that is alone. Exit 1 when one is a quarter off.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hermes_client.scenario.local_mesh import LocalMesh, Settings
from tests.mesh.figures import Load, rest
from tests.mesh.table import SEED
from tests.support.nodes import ask_admin

TOLERATED: Final = 0.25
SETTLE_S: Final = 30.0
READY_S: Final = 300.0
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_SENT: Final = re.compile(r'^hermes_mesh_probe_messages_total\{direction="sent"\} (\S+)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one process since its start. `bytes_sent`: of each TCP connection that stands."""

    cpu_s: float
    messages: float
    bytes_sent: dict[str, int]


async def wait_known(mesh: LocalMesh) -> None:
    """Until every node holds every other one for alive."""
    async with asyncio.timeout(READY_S):
        for index in range(len(mesh.nodes)):
            while True:
                _, seen = await ask_admin(mesh, index, "GET", "/mesh/members")
                if sum(member["state"] == "alive" for member in seen["members"]) == len(mesh.nodes):
                    break
                await asyncio.sleep(0.5)


def read_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def read_sockets() -> dict[int, dict[str, int]]:
    """By process, what each of its established connections has sent."""
    listed = subprocess.run(["ss", "-tinpHO", "state", "established"], capture_output=True, text=True, check=True).stdout
    found: dict[int, dict[str, int]] = {}
    for line in listed.splitlines():
        pid, sent = re.search(r"pid=(\d+)", line), re.search(r"bytes_sent:(\d+)", line)
        if pid is not None:
            found.setdefault(int(pid[1]), {})[" ".join(line.split()[2:4])] = 0 if sent is None else int(sent[1])
    return found


async def count_messages(mesh: LocalMesh) -> list[float]:
    answers = [await ask_admin(mesh, index, "GET", "/metrics", token=None) for index in range(len(mesh.nodes))]
    return [float(_SENT.findall(answer["text"])[0]) for _, answer in answers]


async def measure(members: int, seconds: float) -> Load:
    """Of one node in one second, the whole process."""
    settings: Settings = {"mesh": {"heartbeat_interval_s": 1.0}, "log": {"level": "warning"}}
    async with LocalMesh(members, settings=settings, start_timeout_s=READY_S) as mesh:
        await wait_known(mesh)
        await asyncio.sleep(SETTLE_S)
        pids = [node.pid for node in mesh.nodes]
        messages = await count_messages(mesh)
        await asyncio.sleep(1.0)
        sockets, cpu_s = read_sockets(), [read_cpu(pid) for pid in pids]
        await asyncio.sleep(seconds)
        later, cpu_later_s = read_sockets(), [read_cpu(pid) for pid in pids]
        sent = sum(await count_messages(mesh)) - sum(messages)
    share = 1 / (seconds * members)
    carried = sum(
        later[pid][name] - before for pid in pids for name, before in sockets.get(pid, {}).items() if name in later.get(pid, {})
    )
    return Load(
        messages=sent / ((seconds + 1.0) * members),
        kilobytes=carried * share / 1e3,
        cpu_ms=(sum(cpu_later_s) - sum(cpu_s)) * share * 1e3,
        dials=0.0,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mesh.real", description=__doc__)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    alone = asyncio.run(measure(1, options.seconds))
    real, charged = asyncio.run(measure(options.members, options.seconds)), rest(options.members, SEED)
    cpu_ms = real.cpu_ms - alone.cpu_ms
    print(f"alone: {alone.cpu_ms:.2f} ms of CPU a second; of {options.members}: {real.cpu_ms:.2f}")
    broken = False
    for name, found, expected in (
        ("messages", real.messages, charged.messages),
        ("kB", real.kilobytes, charged.kilobytes),
        ("ms of CPU", cpu_ms, charged.cpu_ms),
    ):
        off = found / expected - 1
        broken |= abs(off) > TOLERATED
        print(f"{found:.2f} {name} a node and second, charged {expected:.2f}: {100 * off:+.0f} %")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
