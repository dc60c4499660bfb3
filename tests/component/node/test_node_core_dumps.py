"""A real node process leaves no core dump and lets nobody attach, unless it is told to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from tests.support.nodes import QUICK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process may do to another is told by /proc")

CHILD = """
import ctypes, resource, sys
from hermes_node.core_dumps import forbid_core_dumps
PR_GET_DUMPABLE = 3
before = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE)
forbid_core_dumps()
print(before, ctypes.CDLL(None).prctl(PR_GET_DUMPABLE), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def _core_limits(pid: int | str) -> list[str]:
    lines = Path("/proc", str(pid), "limits").read_text().splitlines()
    return next(line.split() for line in lines if line.startswith("Max core file size"))


@pytest.mark.parametrize("asked_for", [False, True])
async def test_a_node_makes_no_dump(asked_for: bool) -> None:
    ours = _core_limits("self")
    async with LocalMesh(1, settings={**QUICK, "node": {"core_dumps": asked_for}}) as solo:
        assert _core_limits(solo.nodes[0].pid) == (ours if asked_for else [*ours[:4], "0", "0", "bytes"])


def test_the_process_is_not_dumpable_afterwards() -> None:
    """What the kernel asks before it dumps a process to a program, and before it lets another one of the same user attach."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0", "0", "0"]
