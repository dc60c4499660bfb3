"""What holds for every test: property tests have no deadline for an example, which a busy machine would miss.

`--app-transport=grpc` runs whatever starts nodes through `LocalMesh` over gRPC's library instead of Hermes' own transport,
`--mesh-membership=swim` with members that find each other by SWIM.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from hermes_client.scenario import local_mesh

settings.register_profile("hermes", deadline=None, print_blob=True)
settings.load_profile("hermes")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--app-transport", choices=["hermes", "grpc"], default="hermes", help="app.transport of the tests' nodes")
    parser.addoption(
        "--mesh-membership", choices=["gossip", "swim"], default="gossip", help="mesh.membership of the tests' nodes"
    )


def pytest_configure(config: pytest.Config) -> None:
    transport = config.getoption("--app-transport")
    mesh = {**local_mesh.FAST_SETTINGS["mesh"], "membership": config.getoption("--mesh-membership")}
    local_mesh.FAST_SETTINGS = {**local_mesh.FAST_SETTINGS, "app": {"transport": transport}, "mesh": mesh}
