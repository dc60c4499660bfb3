"""What holds for every test: property tests have no deadline for an example, which a busy machine would miss.

`--app-transport=grpc` runs whatever starts nodes through `LocalMesh` over gRPC's library instead of Hermes' own transport,
`--mesh-membership=gossip` with members that hear each other all the time, `--fronts=N` with N processes that take apps'
connections (the transport's own tests as well).
No node that a test starts so may have logged a defect by the time its mesh is closed, whatever the test did to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings

from hermes_client.scenario import local_mesh

settings.register_profile("hermes", deadline=None, print_blob=True)
settings.load_profile("hermes")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--app-transport", choices=["hermes", "grpc"], default="hermes", help="app.transport of the tests' nodes")
    parser.addoption("--fronts", type=int, default=0, help="app.fronts of the tests' nodes; 0: what a node chooses on loopback")
    parser.addoption(
        "--mesh-membership", choices=["swim", "gossip"], default="swim", help="mesh.membership of the tests' nodes"
    )


_defects: list[str] = []
_close = local_mesh.LocalMesh.close


async def _close_and_look(mesh: local_mesh.LocalMesh) -> None:
    """Before the logs go with their folder."""
    running = [index for index, node in enumerate(mesh.nodes) if node.process is not None]
    await asyncio.gather(*(mesh.stop(index) for index in running), return_exceptions=True)
    for node in mesh.nodes:
        if node.log_path.exists():
            lines = node.log_path.read_text(errors="replace").splitlines()
            _defects.extend(line for line in lines if '"event":"unexpected_error"' in line)
    await _close(mesh)


@pytest.fixture(autouse=True)
def _no_defect_is_logged() -> Iterator[None]:
    """A mesh of a whole module is looked at after its last test, and told with the next one."""
    yield
    found, _defects[:] = list(_defects), []
    assert not found, "a node logged a defect"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _defects:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\n".join(["a node logged a defect:", *_defects]))


def pytest_configure(config: pytest.Config) -> None:
    local_mesh.LocalMesh.close = _close_and_look  # type: ignore[method-assign, assignment] # for every test
    transport = config.getoption("--app-transport")
    app: dict[str, local_mesh.SettingValue] = {"transport": transport}
    if config.getoption("--fronts"):
        app["fronts"] = config.getoption("--fronts")
    mesh = {**local_mesh.FAST_SETTINGS["mesh"], "membership": config.getoption("--mesh-membership")}
    local_mesh.FAST_SETTINGS = {**local_mesh.FAST_SETTINGS, "app": app, "mesh": mesh}
