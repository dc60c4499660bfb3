"""Two of four real nodes never reach each other: no standing shows it, both tell it, and it ends when they are healed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.soak.mesh import SoakMesh
from tests.support.nodes import ask_admin, wait_logged, wait_ready, wait_until

ONE, TWO, OTHERS = 1, 2, (0, 3)
PAIR = frozenset({"local-1", "local-2"})


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[SoakMesh]:
    async with SoakMesh(4, tmp_path / "mesh", more={"mesh": {"membership": "swim", "heartbeat_interval_s": 0.3}}) as four:
        await wait_ready(four)
        yield four


async def read_metric(mesh: SoakMesh, at: int, series: str) -> float:
    _, metrics = await ask_admin(mesh, at, "GET", "/metrics", token=None)
    return float(re.findall(rf"^{re.escape(series)} (\S+)", metrics["text"], re.MULTILINE)[0])


async def find_members(mesh: SoakMesh, at: int) -> dict[str, dict[str, Any]]:
    _, seen = await ask_admin(mesh, at, "GET", "/mesh/members")
    return {member["node_id"]: member for member in seen["members"]}


@pytest.mark.parametrize("swallowed", [False, True], ids=["cut", "swallowed"])
async def test_a_broken_pair_is_told_by_both_and_by_nobody_else(mesh: SoakMesh, swallowed: bool) -> None:
    async def are_apart() -> bool:
        counted = [await read_metric(mesh, at, "hermes_mesh_members_unreached") for at in range(4)]
        return counted == [0, 1, 1, 0]

    (mesh.proxy.swallow if swallowed else mesh.proxy.cut)(PAIR)
    await wait_until(are_apart)
    for at, other in ((ONE, "local-2"), (TWO, "local-1")):
        member = (await find_members(mesh, at))[other]
        assert (member["state"], member.get("unreached")) == ("alive", True)
        await wait_logged(mesh.nodes[at], "peer_unreached", peer=other)
        assert await read_metric(mesh, at, 'hermes_mesh_probes_total{result="indirect"}') > 0
    for at in OTHERS:
        assert not any(member.get("unreached") for member in (await find_members(mesh, at)).values())
    mesh.proxy.heal(PAIR)

    async def are_together() -> bool:
        return [await read_metric(mesh, at, "hermes_mesh_members_unreached") for at in range(4)] == [0, 0, 0, 0]

    await wait_until(are_together)
    await wait_logged(mesh.nodes[ONE], "peer_reached", peer="local-2")
    assert await read_metric(mesh, ONE, 'hermes_mesh_dials_total{purpose="membership",result="connected"}') > 0


async def test_a_suspicion_says_who_accused_and_why_it_ended(mesh: SoakMesh) -> None:
    await mesh.kill(3)
    line = await wait_logged(mesh.nodes[0], "peer_state", peer="local-3", after="suspect")
    assert (line["accuser"], line["reason"]) in {
        ("local-0", "answered neither this node nor its helpers"),
        *((f"local-{other}", "another member accused it") for other in (ONE, TWO)),
    }
    line = await wait_logged(mesh.nodes[0], "peer_state", peer="local-3", after="dead")
    assert line["reason"] == "answered none of the last probes of this node"

    async def is_counted() -> bool:
        events = ("made", "heard", "buried")
        made, heard, buried = [await read_metric(mesh, 0, f'hermes_mesh_suspicions_total{{event="{e}"}}') for e in events]
        return made + heard >= buried == 1

    await wait_until(is_counted)
