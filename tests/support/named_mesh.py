"""Nodes behind one name, as behind a headless Service: each has an address of its own on loopback, all have one port."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiohttp

from hermes_client.scenario.certificates import LocalAuthority
from hermes_client.scenario.local_mesh import SettingValue, render_toml
from tests.support.nodes import DEADLINE_S, wait_until

SERVICE = "localhost"
"""The name that every node's certificate has beside its own."""
WAIT_S = 60.0
TOKEN = "0123456789abcdef"
QUICK: Mapping[str, Mapping[str, SettingValue]] = {
    "gossip": {"membership": "gossip", "heartbeat_interval_s": 0.1, "dead_after_s": 2.0},
    "swim": {"membership": "swim", "heartbeat_interval_s": 0.3},
}


class NamedMesh:
    """The owner of the processes, by node id, and of what the name resolves to."""

    def __init__(self, folder: Path, membership: str) -> None:
        self.folder = folder
        self.port = find_port()
        self.seed = f"dns:{SERVICE}:{self.port}"
        self._membership = membership
        self._authority = LocalAuthority(folder)
        self._names = folder / "names.json"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "passphrase").write_bytes(b"words")
        (folder / "token").write_text(TOKEN)
        for file in ("passphrase", "token"):
            (folder / file).chmod(0o600)
        self.resolve()

    def resolve(self, *addresses: str) -> None:
        """What the name stands for from now on; nothing: it does not resolve."""
        self._write(list(addresses))

    def silence(self) -> None:
        """No name server answers from now on."""
        self._write(None)

    def _write(self, addresses: list[str] | None) -> None:
        draft = self._names.with_suffix(".new")
        draft.write_text(json.dumps({SERVICE: addresses}))
        draft.replace(self._names)

    def start(
        self,
        node_id: str,
        host: str,
        *,
        seeds: list[str] | None = None,
        behind: list[str] | None = None,
        authority: LocalAuthority | None = None,
        folder: Path | None = None,
        port: int | None = None,
        **mesh: SettingValue,
    ) -> None:
        """`host`: its address, without brackets; `port`: where nodes share an address; `behind`: what the name is to this one.

        `mesh`: more settings.
        """
        folder = folder or self.folder / node_id
        folder.mkdir(exist_ok=True)
        (folder / "ready.json").unlink(missing_ok=True)
        trusted = authority or self._authority
        files = trusted.issue_node(node_id)
        literal = f"[{host}]" if ":" in host else host
        loopback = "[::1]" if ":" in host else "127.0.0.1"
        settings: dict[str, dict[str, SettingValue]] = {
            "node": {"id": node_id, "data_dir": str(folder), "ready_file": str(folder / "ready.json")},
            "app": {"listen": f"{loopback}:0"},
            "mesh": {
                "listen": f"{literal}:{self.port if port is None else port}",
                "seeds": [self.seed] if seeds is None else seeds,
                "tls_cert": str(files.certificate),
                "tls_key": str(files.key),
                "tls_ca": str(trusted.ca_file),
                "join_grace_s": 0.5,
                **QUICK[self._membership],
                **mesh,
            },
            "admin": {"listen": f"{loopback}:0", "token_file": str(self.folder / "token")},
            "keystore": {
                "passphrase_file": str(self.folder / "passphrase"),
                "argon2_memory_kib": 8192,
                "argon2_time_cost": 1,
            },
            "cleanup": {"drain_timeout_s": 1.0},
        }
        (folder / "node.toml").write_text(render_toml(settings))
        names = self._names
        if behind is not None:
            names = folder / "names.json"
            names.write_text(json.dumps({SERVICE: behind}))
        command = [sys.executable, "-m", "tests.support.named_node", str(names), "--config", str(folder / "node.toml")]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HERMES_")}
        with (folder / "node.log").open("ab") as log:
            self._processes[folder.name] = subprocess.Popen(command, stdout=log, stderr=log, env=clean)

    def process(self, name: str) -> subprocess.Popen[bytes]:
        return self._processes[name]

    def kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def lose_volume(self, name: str) -> None:
        """Of a node that does not run."""
        shutil.rmtree(self.folder / name)

    def close(self) -> None:
        for name in list(self._processes):
            self.kill(name)

    def read_log(self, name: str, event: str = "") -> list[dict[str, Any]]:
        text = (self.folder / name / "node.log").read_text()
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [line for line in lines if event in ("", line["event"])]

    async def ask(self, name: str, path: str) -> tuple[int, dict[str, Any]]:
        """Status 0 while it serves nothing yet."""
        ready = self.folder / name / "ready.json"
        if not ready.exists():
            assert self._processes[name].poll() is None, (self.folder / name / "node.log").read_text()
            return 0, {}
        admin = json.loads(ready.read_text())["admin"]
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE_S)) as session,
            session.get(f"http://{admin}{path}", headers={"Authorization": f"Bearer {TOKEN}"}) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else {"text": text}

    def find_app(self, name: str) -> str:
        """Where apps reach it, in plain."""
        return str(json.loads((self.folder / name / "ready.json").read_text())["app"])

    async def find_members(self, name: str) -> dict[str, dict[str, Any]]:
        _, seen = await self.ask(name, "/mesh/members")
        return {member["node_id"]: member for member in seen.get("members", ())}

    async def find_states(self, name: str) -> dict[str, str]:
        return {node_id: member["state"] for node_id, member in (await self.find_members(name)).items()}

    async def wait_ready(self, name: str) -> None:
        async def is_ready() -> bool:
            return (await self.ask(name, "/readyz"))[0] == 200

        await wait_until(is_ready, WAIT_S)

    async def wait_together(self, *names: str) -> None:
        """Until each is ready and holds all of them for alive."""
        for name in names:
            await self.wait_ready(name)
            await wait_until(partial(self._sees, name, names), WAIT_S)

    async def _sees(self, name: str, names: tuple[str, ...]) -> bool:
        states = await self.find_states(name)
        return all(states.get(other) == "alive" for other in names)

    async def wait_logged(self, name: str, event: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            return next(iter(self.read_log(name, event)), None)

        found: dict[str, Any] = await wait_until(look, WAIT_S)
        return found


@contextmanager
def named_mesh(folder: Path, membership: str) -> Iterator[NamedMesh]:
    mesh = NamedMesh(folder, membership)
    try:
        yield mesh
    finally:
        mesh.close()


def find_port(host: str = "0.0.0.0") -> int:  # noqa: S104 - free on every address of loopback
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        return int(taken.getsockname()[1])


class SilentPort:
    """Takes connections and says nothing, ever. Counts them."""

    def __init__(self, hosts: list[str], port: int) -> None:
        self._at = (hosts, port)
        self.open = self.most = self.taken = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, *self._at)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while await reader.read(65536):
                pass
        except OSError:
            pass
        finally:
            self.open -= 1
            writer.close()
