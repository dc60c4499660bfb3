"""Node processes for tests: the client's LocalMesh, its admin endpoints, and single starts that are meant to fail."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from google.protobuf import json_format
from google.protobuf.message import Message

from hermes_client.scenario.local_mesh import LocalMesh, LocalNode, SettingValue, render_toml

DEADLINE_S = 20.0
QUICK: Mapping[str, Mapping[str, SettingValue]] = {
    "mesh": {"heartbeat_interval_s": 0.1, "dead_after_s": 2.0},
    "cleanup": {"drain_timeout_s": 1.0},
}


async def ask_admin(
    mesh: LocalMesh, index: int, method: str, path: str, *, body: Message | None = None, token: str | None = ""
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an admin request; `token` "" is the mesh's, None sends none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token or mesh.admin_token}"}
    data = None if body is None else json_format.MessageToJson(body, preserving_proto_field_name=True)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE_S)) as session,
        session.request(method, f"http://{mesh.nodes[index].admin}{path}", headers=headers, data=data) as response,
    ):
        text = await response.text()
        return response.status, json.loads(text) if text.startswith("{") else {"text": text}


async def wait_ready(mesh: LocalMesh) -> None:
    """Until every running node is ready and sees every other running one alive."""
    running = [index for index, node in enumerate(mesh.nodes) if node.process is not None]
    await wait_until(lambda: _all_ready(mesh, running))


async def wait_until(look: Callable[[], Any], within_s: float = DEADLINE_S) -> Any:
    """What `look` (a coroutine function) finds, as soon as it is true."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):  # noqa: ASYNC110 - another process's state is polled
            await asyncio.sleep(0.03)
        return found


async def _all_ready(mesh: LocalMesh, running: list[int]) -> bool:
    for index in running:
        status, _ = await ask_admin(mesh, index, "GET", "/readyz", token=None)
        if status != 200:
            return False
        _, members = await ask_admin(mesh, index, "GET", "/mesh/members")
        if sum(member["state"] == "alive" for member in members["members"]) < len(running):
            return False
    return True


def read_log(node: LocalNode) -> list[dict[str, Any]]:
    """The events a node logged; lines that are not JSON (failures) are left out."""
    lines = node.log_path.read_text().splitlines() if node.log_path.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


async def wait_logged(node: LocalNode, event: str, **fields: object) -> dict[str, Any]:
    """The first logged event of this name with these fields."""

    async def look() -> dict[str, Any] | None:
        for record in read_log(node):
            if record["event"] == event and all(record.get(name) == value for name, value in fields.items()):
                return record
        return None

    found: dict[str, Any] = await wait_until(look)
    return found


async def wait_shown(node: LocalNode, certificate: Path) -> None:
    """Until apps are shown the certificate that is in this file: fronts hear of it within a second, others look each time."""
    if not json.loads((node.folder / "ready.json").read_text())["fronts"]:
        return
    host, _, port = node.app.rpartition(":")

    def shows() -> bool:
        shown = ssl.get_server_certificate((host, int(port)), timeout=DEADLINE_S)
        return ssl.PEM_cert_to_DER_cert(shown) == ssl.PEM_cert_to_DER_cert(certificate.read_text())

    await wait_until(lambda: asyncio.to_thread(shows))


def run_node(
    config: Mapping[str, Mapping[str, SettingValue]] | Path | None,
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `hermes-node` until it ends by itself."""
    command = [sys.executable, "-m", "hermes_node.cli", *arguments]
    if config is not None:
        path = config if isinstance(config, Path) else folder / "node.toml"
        if not isinstance(config, Path):
            path.write_text(render_toml(config))
        command += ["--config", str(path)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HERMES_")}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, env=clean | dict(environment or {})
    )


def last_line(text: str) -> str:
    """What a failed process said to people: its last line that is not a log event."""
    return [line for line in text.splitlines() if line and not line.startswith("{")][-1]


@contextmanager
def running_node(settings: Mapping[str, Mapping[str, SettingValue]], folder: Path) -> Iterator[dict[str, Any]]:
    """One node process of the test's own making, until it serves; what its ready file says. Ended by its pid."""
    ready = folder / "ready.json"
    merged = {name: dict(values) for name, values in settings.items()}
    merged["node"]["ready_file"] = str(ready)
    path = folder / "node.toml"
    path.write_text(render_toml(merged))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HERMES_")}
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "hermes_node.cli", "--config", str(path)], stderr=log, env=clean)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not ready.exists():
            assert process.poll() is None, (folder / "node.log").read_text()
            assert time.monotonic() < deadline, (folder / "node.log").read_text()
            time.sleep(0.02)
        yield json.loads(ready.read_text())
    finally:
        process.kill()
        process.wait()


async def restart(mesh: LocalMesh, index: int) -> None:
    """Kill and start: what a crash of one node looks like to the others."""
    await mesh.kill(index)
    await mesh.start(index)


@contextmanager
def two_nodes(settings: Mapping[str, Mapping[str, SettingValue]]) -> Iterator[LocalMesh]:
    """Ready ones, for all tests of a module; LocalMesh is bound to no event loop, so that each test may use its own."""
    two = LocalMesh(2, settings=settings)

    async def start() -> None:
        await two.__aenter__()
        await wait_ready(two)

    asyncio.run(start())
    try:
        yield two
    finally:
        asyncio.run(two.close())
