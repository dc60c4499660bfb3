"""The nodes of a soak: a LocalMesh whose nodes reach each other, and whose apps reach them, through the proxy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from hermes_client.scenario.local_mesh import LocalMesh, LocalNode, Settings, SettingValue, render_toml
from tests.soak.proxy import Proxy

SETTINGS: dict[str, dict[str, SettingValue]] = {
    "app": {"heartbeat_interval_s": 1.5},
    "mesh": {"heartbeat_interval_s": 0.5, "dead_after_s": 4.0},
    "cleanup": {"drain_timeout_s": 1.5},
}
START_TIMEOUT_S = 120.0  # machines are busy


class SoakMesh(LocalMesh):
    """`proxied` False: nothing is in between, for measurements. `more`: settings besides."""

    def __init__(self, size: int, folder: Path | None, *, proxied: bool = True, more: Settings | None = None) -> None:
        settings = SETTINGS | {section: SETTINGS.get(section, {}) | dict(values) for section, values in (more or {}).items()}
        super().__init__(size, folder=folder, settings=settings, start_timeout_s=START_TIMEOUT_S)
        self._proxied = proxied
        self._doors: dict[str, str] = {}
        self.proxy = Proxy(self.pids)

    async def __aenter__(self) -> Self:
        if self._proxied:
            for index in range(self._size):
                name = f"local-{index}"
                self._doors[name] = await self.proxy.listen(name, self._mesh_address(index))
        return await super().__aenter__()

    async def close(self) -> None:
        await self.proxy.close()
        await super().close()

    def pids(self) -> dict[str, int]:
        return {node.node_id: node.process.pid for node in self.nodes if node.process is not None}

    async def app_doors(self, app: str) -> list[str]:
        """Addresses of all nodes for one app."""
        if not self._proxied:
            return [node.app for node in self.nodes]
        return [await self.proxy.listen(node.node_id, self._app_address(at), app) for at, node in enumerate(self.nodes)]

    def _mesh_address(self, index: int) -> Callable[[], str]:
        return lambda: self.nodes[index].mesh if index < len(self.nodes) else ""

    def _app_address(self, index: int) -> Callable[[], str]:
        return lambda: self.nodes[index].app if index < len(self.nodes) else ""

    def _write_config(self, node: LocalNode) -> Path:
        path = super()._write_config(node)
        if self._proxied:
            sections = {name: dict(values) for name, values in node.settings.items()}
            others = [door for name, door in self._doors.items() if name != node.node_id]
            sections["app"]["listen"] = node.app or "127.0.0.1:0"
            sections["admin"]["listen"] = node.admin or "127.0.0.1:0"
            sections["mesh"] |= {
                "listen": node.mesh or "127.0.0.1:0",
                "advertise": self._doors[node.node_id],
                "seeds": others,
            }
            path.write_text(render_toml(sections))
        return path
