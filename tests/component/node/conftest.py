"""One mesh of two nodes for every test of a module that does no lasting harm to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from tests.support.nodes import QUICK, two_nodes


@pytest.fixture(scope="module")
def mesh() -> Iterator[LocalMesh]:
    """Two ready nodes."""
    with two_nodes(QUICK) as mesh:
        yield mesh
