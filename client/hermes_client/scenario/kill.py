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
SILENCE_S = 3.0
"""Shorter ones a busy machine makes by itself."""


@dataclass(frozen=True, slots=True)
class Apps:
    """What a killer may ask of the apps.

    `path_lost` returns when one noticed, `cut_streams` breaks their streams off, `silence_over` returns once an app hears
    again that had heard nothing for so many seconds, and says for how long.
    """

    path_lost: Callable[[], Awaitable[None]]
    cut_streams: Callable[[], None]
    silence_over: Callable[[float], Awaitable[float]]


class Killer(Protocol):
    """How a scenario hurts the mesh. `announcement` is said before, for whoever kills from outside.

    `certain`: a path is lost for sure. Where that is open, messages flow until the harm was seen; a run in which none was has
    proven nothing.
    """

    announcement: str
    certain: bool

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
    certain: bool = True

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
    certain: bool = False  # the pod may be one that no path leads through

    async def kill(self, apps: Apps) -> str:
        await run_command(self.command)
        await apps.path_lost()
        return " ".join(self.command)

    async def wait_back(self) -> None:
        """The StatefulSet, or the kubelet, brings it back by itself."""


@dataclass(slots=True)
class KilledFromOutside:
    """Somebody else does it (a test harness, the operator's rolling restart): say that messages flow, and wait.

    A node that stands still and goes on (a machine that is frozen) may cost nobody a path: then a silence of at least
    SILENCE_S that has ended is what was seen. `ready_file` is written when the kill may come; a soak ends early once
    `stop_file` exists.
    """

    ready_file: Path | None = None
    stop_file: Path | None = None
    announcement: str = "READY: messages are flowing, kill or restart a node now"
    certain: bool = False

    def announce(self) -> None:
        if self.ready_file is not None:
            self.ready_file.write_text("ready\n")

    def stopped(self) -> bool:
        return self.stop_file is not None and self.stop_file.exists()

    async def kill(self, apps: Apps) -> str:
        self.announce()
        since = time.monotonic()
        silent_s = await _first(apps.path_lost(), apps.silence_over(SILENCE_S))
        if silent_s is None:
            return f"path lost {time.monotonic() - since:.1f} s after the announcement"
        return f"no path lost, an app was silent for {silent_s:.1f} s"

    async def wait_back(self) -> None:
        """Whoever killed it sees to that."""


@dataclass(slots=True)
class CutStreams:
    """Harm no node: break the apps' own streams off, so that they must resume (`--kill none`)."""

    announcement: str = ""
    certain: bool = True

    async def kill(self, apps: Apps) -> str:
        apps.cut_streams()
        await apps.path_lost()
        return "both apps' streams cut, no node killed"

    async def wait_back(self) -> None:
        """Nothing to bring back."""


async def _first(*waits: Awaitable[float | None]) -> float | None:
    """What the first of them gives; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
