"""A restarted node and its witness, when chats moved in between: they are counted as moved, on either side of the move."""

from __future__ import annotations

from functools import partial
from typing import Any

from google.protobuf import json_format

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.events import AppEvent, ChatReady, ChatRekeyed
from hermes_core.ids import ChatId
from hermes_proto.v2 import admin_pb2
from tests.support.nodes import QUICK, ask_admin, restart, wait_ready, wait_until
from tests.support.raw_app import RawApp

CHATS = 3


async def _take_witness(mesh: LocalMesh, index: int) -> admin_pb2.ResumeWitness:
    status, taken = await ask_admin(mesh, index, "POST", "/resume/witness")
    assert status == 200
    witness: admin_pb2.ResumeWitness = json_format.ParseDict(taken, admin_pb2.ResumeWitness())
    return witness


async def _check(mesh: LocalMesh, index: int, witness: admin_pb2.ResumeWitness) -> dict[str, Any]:
    return (await ask_admin(mesh, index, "POST", "/resume", body=witness))[1]


async def _wait_for(app: RawApp, kind: type[AppEvent]) -> None:
    await app.wait(lambda: sum(isinstance(event, kind) for event in app.events) == CHATS)


async def _open_chats(one: RawApp, two: RawApp) -> list[ChatId]:
    """Each rekeyed, so that a hop that begins anew stands at a lower epoch."""
    chats = [await one.start_chat(two) for _ in range(CHATS)]
    for app in (one, two):
        await _wait_for(app, ChatReady)
    for chat in chats:
        await one.do(partial(one.chats.rekey, chat))
    for app in (one, two):
        await _wait_for(app, ChatRekeyed)
    return chats


async def test_chats_that_moved_since_the_witness_are_told_as_moved_by_the_old_home_and_the_other_apps() -> None:
    async with LocalMesh(3, settings=QUICK) as mesh:
        await wait_ready(mesh)
        async with (
            RawApp(mesh.nodes[0].app, mesh.ca_file) as one,
            RawApp(mesh.nodes[1].app, mesh.ca_file) as two,
        ):
            await one.wait_found(two)
            chats = await _open_chats(one, two)
            witnesses = [await _take_witness(mesh, index) for index in (0, 1)]
            assert [witness.live_chats for witness in witnesses] == [CHATS, CHATS]
            await one.disconnect()
            await one.reconnect(mesh.nodes[2].app)
            await one.do(one.chats.move)
            await one.wait(lambda: all(one.chats.chats[chat].can_send for chat in chats))

            async def left() -> bool:
                return bool((await ask_admin(mesh, 0, "GET", "/resume"))[1]["live_chats"] == 0)

            await wait_until(left)
            for index, live in ((0, 0), (1, CHATS)):
                await restart(mesh, index)
                await wait_ready(mesh)
                report = await _check(mesh, index, witnesses[index])
                counts = {name: report[name] for name in ("live_chats", "moved_since", "closed_since", "missing", "lowered")}
                assert counts == {"live_chats": live, "moved_since": CHATS, "closed_since": 0, "missing": 0, "lowered": 0}
                assert report["verdict"] == "RESUMED", report["detail"]
            again = await _take_witness(mesh, 1)
            report = await _check(mesh, 1, again)
            assert (report["moved_since"], report["verdict"]) == (0, "RESUMED"), "a later witness has seen the move"
