"""A mesh for the tests of an app: real nodes on loopback in the process of the test, keystores and all. Needs the extra `node`.

    async with mesh(nodes=2) as here:
        async with here.client(0) as alice, here.client(1) as bob:
            await alice.wait_for_app(bob.app_id)

What a test wants to go wrong is `stop` (a node leaves in order), `start` (it is back, with its chats), and `lose` (it is gone
for good, with its keystore). A SIGKILL needs processes: `hermes_client.scenario.local_mesh` has those.
"""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hermes_client.client import HermesClient
from hermes_client.scenario.certificates import LocalAuthority, write_private
from hermes_client.scenario.local_mesh import FAST_SETTINGS, LocalMeshError, SettingValue, render_toml
from hermes_client.tls import ClientTls

try:
    from hermes_client.scenario.admin_client import AdminClient
    from hermes_node.config.sources import load_config
    from hermes_node.host import SYSTEM_HOST
    from hermes_node.lifecycle.node import Node
    from hermes_node.lifecycle.run import run_until_stopped
    from hermes_node.logs.event_log import EventLog
except ModuleNotFoundError as missing:
    cure = f"there is no module {missing.name}: the client is here alone; pip install 'hermes-mesh[node]'"
    raise ModuleNotFoundError(cure, name=missing.name) from None

READY_TIMEOUT_S: Final = 30.0
DRAIN_TIMEOUT_S: Final = 0.5
POLL_S: Final = 0.02
_PLACES: Final = ("app", "mesh", "admin")

__all__ = ["TestMesh", "mesh"]


@dataclass(slots=True)
class _Running:
    stop: asyncio.Event
    task: asyncio.Task[tuple[int, str]]


class TestMesh:
    """Nodes are numbered from 0. LocalMeshError when one does not start; its text says why."""

    __test__ = False  # for pytest, which would take it for tests

    def __init__(self, nodes: int, folder: Path) -> None:
        self._folder = folder
        self._authority = LocalAuthority(folder)
        write_private(folder / "passphrase", secrets.token_hex(16).encode())
        write_private(folder / "admin-token", secrets.token_hex(16).encode())
        self._addresses: list[dict[str, str]] = [dict.fromkeys(_PLACES, "") for _ in range(nodes)]
        self._settings = [self._build_settings(number) for number in range(nodes)]
        self._running: dict[int, _Running] = {}
        self._logs: dict[int, io.StringIO] = {}

    @property
    def addresses(self) -> list[str]:
        """Where apps reach the nodes: "host:port"."""
        return [places["app"] for places in self._addresses]

    @property
    def ca_file(self) -> Path:
        """Who signed the nodes' certificates."""
        return self._authority.ca_file

    def client(self, node: int = 0, **options: Any) -> HermesClient:
        """A client that begins at this node and knows all of them; `options` are those of `HermesClient`. Open it yourself."""
        addresses = self.addresses
        return HermesClient([*addresses[node:], *addresses[:node]], tls=ClientTls(ca_file=self.ca_file), **options)

    def log(self, node: int) -> list[dict[str, Any]]:
        """What a node has logged since its latest start, an event each."""
        return [json.loads(line) for line in self._logs[node].getvalue().splitlines()]

    async def start(self, node: int) -> None:
        """Start a node, or start it again with its keystore and its addresses; every node is alive to every other then."""
        if node in self._running:
            raise LocalMeshError(f"node {node} is running already")
        folder = self._folder / _name(node)
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        (folder / "node.toml").write_text(render_toml(self._with_addresses(node)))
        config = load_config(folder / "node.toml", {})
        lines = self._logs[node] = io.StringIO()
        log, stop = EventLog(node_id=_name(node), stream=lines), asyncio.Event()
        work = run_until_stopped(Node(config, {}, log, SYSTEM_HOST), stop, log)
        running = self._running[node] = _Running(stop, asyncio.create_task(work, name=f"hermes-test-{_name(node)}"))
        try:

            async def is_ready() -> bool:
                return ready.exists()

            await self._until(running, is_ready)
            facts = json.loads(ready.read_text())
            self._addresses[node] = {place: facts[place] for place in _PLACES}
            await self._until_all_see_each_other(running)
        except BaseException:
            await self.stop(node)
            raise

    async def stop(self, node: int) -> None:
        """A node leaves in order; its keystore stays."""
        running = self._running.pop(node)
        running.stop.set()
        await running.task

    async def lose(self, node: int) -> None:
        """A node leaves and its keystore is gone: chats that were at home there move, after the patience of their app."""
        await self.stop(node)
        for path in (self._folder / _name(node)).glob("keystore.db*"):
            path.unlink()

    async def close(self) -> None:
        """Stop every node; harmless when repeated."""
        await asyncio.gather(*(self.stop(node) for node in list(self._running)))

    def _build_settings(self, node: int) -> dict[str, dict[str, SettingValue]]:
        name, folder = _name(node), self._folder / _name(node)
        folder.mkdir()
        files = self._authority.issue_node(name)
        certificate: dict[str, SettingValue] = {"tls_cert": str(files.certificate), "tls_key": str(files.key)}
        mine: dict[str, dict[str, SettingValue]] = {
            "node": {"id": name, "data_dir": str(folder), "ready_file": str(folder / "ready.json")},
            "app": certificate,
            "mesh": {**certificate, "tls_ca": str(self.ca_file)},
            "cleanup": {"drain_timeout_s": DRAIN_TIMEOUT_S},
            "admin": {"token_file": str(self._folder / "admin-token")},
            "keystore": {"path": str(folder / "keystore.db"), "passphrase_file": str(self._folder / "passphrase")},
        }
        return {section: {**FAST_SETTINGS.get(section, {}), **mine.get(section, {})} for section in {*FAST_SETTINGS, *mine}}

    def _with_addresses(self, node: int) -> Mapping[str, Mapping[str, SettingValue]]:
        merged = {section: dict(values) for section, values in self._settings[node].items()}
        for place, address in self._addresses[node].items():
            merged.setdefault(place, {})["listen"] = address or "127.0.0.1:0"
        seeds = [places["mesh"] for number, places in enumerate(self._addresses) if number != node and places["mesh"]]
        merged["mesh"]["seeds"] = seeds
        return merged

    async def _until_all_see_each_other(self, running: _Running) -> None:
        token = self._folder / "admin-token"
        admins = [AdminClient.from_file(f"http://{self._addresses[node]['admin']}", token) for node in self._running]

        async def look() -> bool:
            counts = [[entry.state for entry in (await admin.read_members()).members].count("alive") for admin in admins]
            return min(counts) >= len(admins)

        await self._until(running, look)

    async def _until(self, running: _Running, look: Callable[[], Awaitable[bool]]) -> None:
        """LocalMeshError when the node ends instead, or it takes too long."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not await look():
                    if running.task.done():
                        raise LocalMeshError(f"a node ended: {running.task.result()[1]}")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise LocalMeshError(f"a node was not ready after {READY_TIMEOUT_S:.0f} s") from None


@asynccontextmanager
async def mesh(nodes: int = 1) -> AsyncIterator[TestMesh]:
    """`nodes` of them, ready, each alive to each other; everything is stopped and removed at the end."""
    if nodes < 1:
        raise ValueError(f"a mesh has at least one node, not {nodes}")
    folder = Path(tempfile.mkdtemp(prefix="hermes-test-"))
    try:
        here = TestMesh(nodes, folder)
        try:
            for node in range(nodes):
                await here.start(node)
            yield here
        finally:
            await here.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _name(node: int) -> str:
    return f"test-{node}"
