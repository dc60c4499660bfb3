"""Ways to kill a node in the middle of a chat, and to have it back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.errors import HermesError

KUBECTL_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Apps:
    """What a killer may ask of the apps: `path_lost` returns when one noticed, `cut_streams` breaks their streams off."""

    path_lost: Callable[[], Awaitable[None]]
    cut_streams: Callable[[], None]


class Killer(Protocol):
    """How a scenario hurts the mesh. `announcement` is said before, for whoever kills from outside."""

    announcement: str

    async def kill(self, apps: Apps) -> str:
        """Kill now (or wait until somebody did); returns what died, in words."""

    async def wait_back(self) -> None:
        """See to it that the node comes back; returns when that is under way for sure."""


@dataclass(slots=True)
class KillLocalNode:
    """SIGKILL a process of the local mesh, then start it again from its keystore."""

    mesh: LocalMesh
    index: int = 0
    announcement: str = ""

    async def kill(self, apps: Apps) -> str:
        node = self.mesh.nodes[self.index]
        pid = node.pid
        await self.mesh.kill(self.index)
        await apps.path_lost()
        return f"SIGKILL of {node.node_id} (pid {pid})"

    async def wait_back(self) -> None:
        await self.mesh.start(self.index)


@dataclass(slots=True)
class KillWithKubectl:
    """Kill a pod's node. `command` is what kubectl is told, see `build_kubectl_kill`."""

    command: Sequence[str]
    announcement: str = ""

    async def kill(self, apps: Apps) -> str:
        await run_command(self.command)
        await apps.path_lost()
        return " ".join(self.command)

    async def wait_back(self) -> None:
        """The StatefulSet, or the kubelet, brings it back by itself."""


@dataclass(slots=True)
class KilledFromOutside:
    """Somebody else kills (a test harness, the operator's rolling restart): say that messages flow, and wait.

    `ready_file` is written when the kill may come; a soak ends early once `stop_file` exists.
    """

    ready_file: Path | None = None
    stop_file: Path | None = None
    announcement: str = "READY: messages are flowing, kill or restart a node now"

    def announce(self) -> None:
        if self.ready_file is not None:
            self.ready_file.write_text("ready\n")

    def stopped(self) -> bool:
        return self.stop_file is not None and self.stop_file.exists()

    async def kill(self, apps: Apps) -> str:
        self.announce()
        since = time.monotonic()
        await apps.path_lost()
        return f"path lost {time.monotonic() - since:.1f} s after the announcement"

    async def wait_back(self) -> None:
        """Whoever killed it sees to that."""


@dataclass(slots=True)
class CutStreams:
    """Harm no node: break the apps' own streams off, so that they must resume (`--kill none`)."""

    announcement: str = ""

    async def kill(self, apps: Apps) -> str:
        apps.cut_streams()
        await apps.path_lost()
        return "both apps' streams cut, no node killed"

    async def wait_back(self) -> None:
        """Nothing to bring back."""


def build_kubectl_kill(namespace: str | None, pod: str, *, context: str | None = None) -> list[str]:
    """The kubectl call that takes a pod away without grace.

    The node is process 1 of its container, which the kernel shields from its own namespace, so `kubectl exec … kill -9 1`
    does nothing. A true SIGKILL has to come from the machine the pod runs on (`--kill external`).
    """
    where = [*(["--context", context] if context else []), *(["--namespace", namespace] if namespace else [])]
    return ["kubectl", *where, "delete", "pod", pod, "--force", "--grace-period=0", "--wait=false"]


async def run_command(command: Sequence[str]) -> str:
    """Run a command to its end; HermesError with the last line of its error output when it fails."""
    try:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    except FileNotFoundError:
        raise HermesError(f"{command[0]} is not installed or not on PATH") from None
    try:
        async with asyncio.timeout(KUBECTL_TIMEOUT_S):
            output, errors = await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise HermesError(f"{' '.join(command)} took longer than {KUBECTL_TIMEOUT_S:.0f} s") from None
    if process.returncode:
        lines = errors.decode(errors="replace").strip().splitlines() or ["no error output"]
        raise HermesError(f"{' '.join(command)} failed: {lines[-1]}")
    return output.decode(errors="replace")
