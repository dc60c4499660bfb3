"""A real node process has as many descriptors as the system lets it, whatever its shell began with."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from tests.support.nodes import QUICK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process may open is told by /proc")


def read_limit(pid: int) -> list[str]:
    """Soft and hard."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[3:5] for line in lines if line.startswith("Max open files"))


async def test_a_node_takes_as_many_as_it_may() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        async with LocalMesh(1, settings=QUICK) as solo:
            found = read_limit(solo.nodes[0].pid)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found == [str(hard), str(hard)]
