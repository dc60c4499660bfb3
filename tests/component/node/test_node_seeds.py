"""Finding each other through names: a node alone behind its own name, and one that joins it."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from hermes_client.scenario.certificates import LocalAuthority
from hermes_client.scenario.local_mesh import SettingValue
from tests.support.nodes import running_node, wait_until

TOKEN = "0123456789abcdef"


def make_settings(
    folder: Path, authority: LocalAuthority, node_id: str, port: int, seed: str
) -> dict[str, dict[str, SettingValue]]:
    (folder / "passphrase").write_bytes(b"words")
    (folder / "token").write_text(TOKEN)
    files = authority.issue_node(node_id)
    return {
        "node": {"id": node_id, "data_dir": str(folder)},
        "app": {"listen": "127.0.0.1:0", "advertise": f"{node_id}.example:8443"},
        "mesh": {
            "listen": f"127.0.0.1:{port}",
            "seeds": [seed],
            "tls_cert": str(files.certificate),
            "tls_key": str(files.key),
            "tls_ca": str(authority.ca_file),
            "heartbeat_interval_s": 0.1,
            "dead_after_s": 2.0,
            "join_grace_s": 0.3,
        },
        "admin": {"listen": "127.0.0.1:0", "token_file": str(folder / "token")},
        "keystore": {"passphrase_file": str(folder / "passphrase"), "argon2_memory_kib": 8192, "argon2_time_cost": 1},
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def get(address: str, path: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"http://{address}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own process
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


async def test_a_node_behind_its_own_name_is_alone_by_design_and_others_join_it(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    port = free_port()
    seed = f"dns:127.0.0.1:{port}"
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    with running_node(make_settings(folders[0], authority, "node-a", port, seed), folders[0]) as first:
        assert first["app"] == "node-a.example:8443"

        async def ready(address: str) -> bool:
            return get(address, "/readyz")[0] == 200

        await wait_until(lambda: ready(first["admin"]))

        async def told() -> bool:
            return "mesh_alone" in (folders[0] / "node.log").read_text()

        await wait_until(told)
        with running_node(make_settings(folders[1], authority, "node-b", 0, seed), folders[1]) as second:
            await wait_until(lambda: ready(second["admin"]))

            async def both_alive() -> bool:
                """Who was welcomed is ready; the link that makes the other one a member follows."""
                members = get(second["admin"], "/mesh/members")[1]["members"]
                return {member["node_id"]: member["state"] for member in members} == {"node-a": "alive", "node-b": "alive"}

            await wait_until(both_alive)
            assert "mesh_alone" not in (folders[1] / "node.log").read_text()
