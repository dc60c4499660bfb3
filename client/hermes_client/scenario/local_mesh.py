"""A mesh of real `hermes-node` processes on loopback: for `make demo`, the scenario tests and the node's own tests.

    async with LocalMesh(2) as mesh:
        client = HermesClient(mesh.nodes[0].app, tls=ClientTls(ca_file=mesh.ca_file))
        await mesh.kill(0)       # SIGKILL, waits until the process is gone
        await mesh.start(0)      # the same keystore, the same addresses

Keystores, certificates, configuration and logs live in one directory that is removed at the end (kept when the caller gave it).
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from hermes_client.scenario.certificates import LocalAuthority, write_private
from hermes_core.errors import HermesError

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.02
START_ATTEMPTS = 3  # another program may have taken the port of a killed node for a moment

SettingValue = str | int | float | bool | list[str]
Settings = Mapping[str, Mapping[str, SettingValue]]

# Small Argon2 parameters and quick heartbeats: a local mesh shows behaviour, it protects nothing.
FAST_SETTINGS: Settings = {
    "mesh": {"heartbeat_interval_s": 0.5, "dead_after_s": 5.0},
    "keystore": {"create": True, "argon2_memory_kib": 8192, "argon2_time_cost": 1, "argon2_lanes": 1},
    "cleanup": {"drain_timeout_s": 2.0},
    "log": {"level": "info", "format": "json"},
}


class LocalMeshError(HermesError):
    """A node process of the local mesh did not start or stop as it should; the text holds the end of its log."""


@dataclass(slots=True)
class LocalNode:
    """One node process. `app`, `mesh` and `admin` are host:port, learned at the first start and kept afterwards.

    `module`: what Python runs; a test may have one of its nodes behave otherwise.
    """

    node_id: str
    folder: Path
    settings: dict[str, dict[str, SettingValue]]
    app: str = ""
    mesh: str = ""
    admin: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    module: str = "hermes_node.cli"

    @property
    def pid(self) -> int:
        if self.process is None:
            raise LocalMeshError(f"{self.node_id} is not running")
        return self.process.pid

    @property
    def keystore_path(self) -> Path:
        return self.folder / "keystore.db"

    @property
    def log_path(self) -> Path:
        return self.folder / "node.log"


class LocalMesh:
    """`size` nodes that know each other. `settings` are merged over FAST_SETTINGS into every node's configuration."""

    def __init__(
        self,
        size: int = 2,
        *,
        folder: Path | None = None,
        app_tls: bool = True,
        settings: Settings | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self._size = size
        self._start_timeout_s = start_timeout_s
        self._keep_folder = folder is not None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="hermes-mesh-"))
        self.app_tls = app_tls
        self._settings = settings or {}
        self.admin_token = secrets.token_hex(16)
        self.passphrase = secrets.token_hex(16)
        self.nodes: list[LocalNode] = []
        self._authority: LocalAuthority | None = None

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def ca_file(self) -> Path:
        return self._folder / "ca.crt"

    async def __aenter__(self) -> Self:
        try:
            self._prepare()
            # The first node is the others' seed, so its address must be known before they start.
            await self.start(0)
            await asyncio.gather(*(self.start(index) for index in range(1, self._size)))
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self, index: int) -> LocalNode:
        """Start a node, or start it again with its keystore and addresses; returns once it serves."""
        node = self.nodes[index]
        if node.process is not None:
            raise LocalMeshError(f"{node.node_id} is running already")
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                await self._start_once(node)
            except LocalMeshError:
                if attempt == START_ATTEMPTS or not node.app:
                    raise
            else:
                break
        return node

    async def kill(self, index: int) -> None:
        """SIGKILL, and wait until the process is gone."""
        await self._end(self.nodes[index], signal.SIGKILL)

    async def stop(self, index: int) -> int:
        """SIGTERM; returns the exit code."""
        return await self._end(self.nodes[index], signal.SIGTERM)

    def lose_volume(self, index: int) -> int:
        """Remove everything that a node which does not run has kept; how many files that were."""
        files = [path for path in self.nodes[index].folder.rglob("keystore.db*") if path.is_file()]
        for file in files:
            file.unlink()
        return len(files)

    async def close(self) -> None:
        """End every process by its pid and remove the directory."""
        running = [node for node in self.nodes if node.process is not None]
        await asyncio.gather(*(self._end(node, signal.SIGTERM) for node in running), return_exceptions=True)
        if not self._keep_folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._authority = LocalAuthority(self._folder)
        write_private(self._folder / "passphrase", self.passphrase.encode())
        write_private(self._folder / "admin-token", self.admin_token.encode())
        for index in range(self._size):
            node_id = f"local-{index}"
            folder = self._folder / node_id
            folder.mkdir()
            self.nodes.append(LocalNode(node_id, folder, self._build_settings(node_id, folder)))

    def _build_settings(self, node_id: str, folder: Path) -> dict[str, dict[str, SettingValue]]:
        if self._authority is None:
            raise LocalMeshError("the mesh was not prepared")
        files = self._authority.issue_node(node_id)
        certificate: dict[str, SettingValue] = {"tls_cert": str(files.certificate), "tls_key": str(files.key)}
        base: dict[str, dict[str, SettingValue]] = {
            "node": {"id": node_id, "data_dir": str(folder), "ready_file": str(folder / "ready.json")},
            "app": certificate if self.app_tls else {},
            "mesh": {**certificate, "tls_ca": str(self.ca_file)},
            "admin": {"token_file": str(self._folder / "admin-token")},
            "keystore": {"path": str(folder / "keystore.db"), "passphrase_file": str(self._folder / "passphrase")},
        }
        for overlay in (FAST_SETTINGS, self._settings):
            for section, values in overlay.items():
                base[section] = {**base.get(section, {}), **values}
        return base

    def _write_config(self, node: LocalNode) -> Path:
        others = [other.mesh for other in self.nodes if other is not node and other.mesh]
        addresses: dict[str, dict[str, SettingValue]] = {
            "app": {"listen": node.app or "127.0.0.1:0"},
            "mesh": {"listen": node.mesh or "127.0.0.1:0", "seeds": list(others)},
            "admin": {"listen": node.admin or "127.0.0.1:0"},
        }
        merged = {section: {**values, **addresses.get(section, {})} for section, values in node.settings.items()}
        path = node.folder / "node.toml"
        path.write_text(render_toml(merged))
        return path

    async def _start_once(self, node: LocalNode) -> None:
        ready_file = node.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        config = self._write_config(node)
        with node.log_path.open("ab") as log:
            node.process = subprocess.Popen(  # noqa: ASYNC220, S603 - returns at once; arguments are our own
                [sys.executable, "-m", node.module, "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("HERMES_")},
                start_new_session=True,
            )
        try:
            await self._wait_ready(node, ready_file.exists)
        except BaseException:
            await self._end(node, signal.SIGKILL)
            raise
        facts = json.loads(ready_file.read_text())
        node.app, node.mesh, node.admin = facts["app"], facts["mesh"], facts["admin"]

    async def _wait_ready(self, node: LocalNode, is_ready: Callable[[], bool]) -> None:
        deadline = asyncio.get_running_loop().time() + self._start_timeout_s
        while not is_ready():
            if node.process is None or node.process.poll() is not None:
                code = None if node.process is None else node.process.returncode
                raise LocalMeshError(f"{node.node_id} ended with exit code {code}:\n{_read_tail(node.log_path, 20)}")
            if asyncio.get_running_loop().time() > deadline:
                raise LocalMeshError(
                    f"{node.node_id} was not ready after {self._start_timeout_s:.0f} s:\n{_read_tail(node.log_path, 20)}"
                )
            await asyncio.sleep(POLL_S)

    async def _end(self, node: LocalNode, how: signal.Signals) -> int:
        process = node.process
        if process is None:
            raise LocalMeshError(f"{node.node_id} is not running")
        process.send_signal(how)
        try:
            code = await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = await asyncio.to_thread(process.wait)
        node.process = None
        return code


def render_toml(sections: Mapping[str, Mapping[str, SettingValue]]) -> str:
    """TOML of sections of plain values; JSON's strings, numbers, booleans and lists are TOML's as well."""
    blocks = []
    for section, values in sections.items():
        lines = [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _read_tail(path: Path, lines: int) -> str:
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
