"""A node that starts with a wrong clock: no chat is erased, every chat is rekeyed, and it says so."""

from __future__ import annotations

import asyncio
import io
import json
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.crypto.secret import SecretBytes
from hermes_core.endpoint.events import ChatReady, ChatRekeyed
from hermes_core.errors import KeystoreTamperedError
from hermes_core.limits import UNCONFIRMED_TIME_S
from hermes_keystore import Keystore
from hermes_node.config.sources import load_config
from hermes_node.host import SYSTEM_HOST, Host
from hermes_node.keystore.last_seen import LAST_SEEN, UNCONFIRMED, read_last_seen
from hermes_node.lifecycle.node import Node
from hermes_node.logs.event_log import EventLog
from hermes_operator.nodes.client import NodeClient
from tests.component.node.test_node_lifecycle import PASSPHRASE, Solo
from tests.support.nodes import QUICK, wait_ready, wait_until
from tests.support.raw_app import RawApp

DAY_S = 86_400.0
PATIENT = {**QUICK, "mesh": {**QUICK["mesh"], "opening_wait_s": 300.0}, "cleanup": {"idle_timeout_s": 3 * DAY_S}}


def host_at(offset_s: float) -> Host:
    return replace(SYSTEM_HOST, wall=lambda: time.time() + offset_s)


@pytest.mark.parametrize(("offset_s", "doubt"), [(31 * DAY_S, "later"), (-20 * 365 * DAY_S, "earlier"), (3600.0, None)])
async def test_one_start_with_another_clock(tmp_path: Path, offset_s: float, doubt: str | None) -> None:
    first = Solo(tmp_path)
    await first.node.start()
    async with RawApp(first.app) as one, RawApp(first.app) as two:
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        await one.say(chat, b"before")
        await two.wait(lambda: two.contents() == [b"before"])
        await first.node.stop()
        second = Solo(tmp_path, host=host_at(offset_s))
        await second.node.start()
        told = [record["reason"] for record in second.records if record["event"] == "clock_in_doubt"]
        assert told == ([doubt] if doubt else [])
        _, metrics = await second.ask("GET", "/metrics")
        for kind in ("earlier", "later", "off"):
            found = [line for line in metrics["text"].splitlines() if "clock_doubts" in line]
            assert f'hermes_clock_doubts_total{{doubt="{kind}"}} {float(kind == doubt)}' in found
        _, ratchets = await second.ask("GET", "/crypto/ratchets")
        assert [it["state"] for it in ratchets["chats"]] == ["active"]
        await one.reconnect(second.app)
        await two.reconnect(second.app)
        if doubt:
            await one.wait_event(ChatRekeyed)
        await one.say(chat, b"after")
        await two.wait(lambda: two.contents() == [b"before", b"after"])
        await second.node.stop()
    third = Solo(tmp_path)  # the clock is right again: a minute or so is no doubt, and the chat is still there
    await third.node.start()
    told = [record["reason"] for record in third.records if record["event"] == "clock_in_doubt"]
    assert told == (["earlier"] if offset_s > 0 else [])
    _, ratchets = await third.ask("GET", "/crypto/ratchets")
    assert len(ratchets["chats"]) == 1
    await third.node.stop()


@pytest.mark.parametrize("step_s", [0.0, 6.9 * DAY_S])
async def test_starts_with_a_wrong_clock_share_one_week(tmp_path: Path, step_s: float) -> None:
    """Six of them a few seconds apart, with a clock that is a year ahead, or further by a step at each: a month is not over."""
    first = Solo(tmp_path)
    await first.node.start()
    async with RawApp(first.app) as one, RawApp(first.app) as two:
        await one.start_chat(two)
        await one.wait_event(ChatReady)
        await first.node.stop()
    for number in range(1, 7):
        solo = Solo(tmp_path, host=host_at(step_s * number or 365 * DAY_S))
        await solo.node.start()
        _, ratchets = await solo.ask("GET", "/crypto/ratchets")
        assert len(ratchets["chats"]) == 1
        assert (await solo.ask("GET", "/healthz"))[0] == 200
        await asyncio.sleep(0.2)  # timers have had their turn
        _, ratchets = await solo.ask("GET", "/crypto/ratchets")
        assert len(ratchets["chats"]) == 1, f"erased in run {number}"
        await solo.node.stop()


async def test_a_keystore_of_before_there_was_a_last_time_seen(tmp_path: Path) -> None:
    """What chats say of the time stands in for it: a clock that is a year ahead is no more believed than at any other start."""
    first = Solo(tmp_path)
    await first.node.start()
    async with RawApp(first.app) as one, RawApp(first.app) as two:
        await one.start_chat(two)
        await one.wait_event(ChatReady)
        await first.node.stop()
    with Keystore.open(tmp_path / "keystore.db", SecretBytes.take(bytearray(PASSPHRASE))) as keystore:
        keystore.commit({}, (LAST_SEEN, UNCONFIRMED))
        assert read_last_seen(keystore) is None
    second = Solo(tmp_path, host=host_at(365 * DAY_S))
    await second.node.start()
    assert [record["reason"] for record in second.records if record["event"] == "clock_in_doubt"] == ["later"]
    await asyncio.sleep(0.2)
    _, ratchets = await second.ask("GET", "/crypto/ratchets")
    assert len(ratchets["chats"]) == 1
    await second.node.stop()
    with Keystore.open(tmp_path / "keystore.db", SecretBytes.take(bytearray(PASSPHRASE))) as keystore:
        seen = read_last_seen(keystore)
        assert seen is not None
        assert seen.unconfirmed_s == pytest.approx(UNCONFIRMED_TIME_S, abs=60)
        assert seen.date_s - time.time() == pytest.approx(UNCONFIRMED_TIME_S, abs=60)
        keystore.commit({UNCONFIRMED: b"7 days"})
        with pytest.raises(KeystoreTamperedError):
            read_last_seen(keystore)


class Home:
    """The first node of a mesh, in this process, with a clock of its own; the others are processes with the machine's."""

    def __init__(self, mesh: LocalMesh, offset_s: float) -> None:
        self._stream = io.StringIO()
        log = EventLog(node_id=mesh.nodes[0].node_id, stream=self._stream)
        self.node = Node(load_config(mesh._write_config(mesh.nodes[0]), {}), {}, log, host_at(offset_s))

    @property
    def doubts(self) -> list[str]:
        records = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [record["reason"] for record in records if record["event"] == "clock_in_doubt"]

    async def wait_doubts(self, expected: list[str]) -> None:
        async def told() -> bool:
            return self.doubts == expected

        await wait_until(told)


@pytest.mark.parametrize(("offset_s", "alone"), [(31 * DAY_S, "later"), (-20 * 365 * DAY_S, "earlier"), (6 * DAY_S, None)])
async def test_three_other_nodes_put_a_clock_right(offset_s: float, alone: str | None) -> None:
    """A week, or what the clock says, would end a chat that may be idle for three days; nobody confirms it, so none ends."""
    async with LocalMesh(4, settings=PATIENT) as mesh:
        await wait_ready(mesh)
        home = mesh.nodes[0]
        async with RawApp(home.app, mesh.ca_file) as one, RawApp(home.app, mesh.ca_file) as two:
            chat = await one.start_chat(two)
            await one.wait_event(ChatReady)
            await mesh.stop(0)
            wrong = Home(mesh, offset_s)
            await wrong.node.start()
            await wrong.wait_doubts([alone, "off"] if alone else ["off"])
            await one.reconnect(home.app)
            await two.reconnect(home.app)
            await one.wait_event(ChatRekeyed)
            await one.say(chat, b"still here")
            await two.wait(lambda: two.contents() == [b"still here"])
            await wrong.node.stop()
        await mesh.start(0)
        assert "clock_in_doubt" not in home.log_path.read_text(), "what it kept for its next start is the real time"


@pytest.mark.parametrize("way", ["it hands a mark back", "it hands a witness back"])
async def test_the_operator_and_one_other_node_put_a_clock_right(way: str) -> None:
    async with LocalMesh(2, settings=PATIENT) as mesh, aiohttp.ClientSession() as session:
        await wait_ready(mesh)
        node_id, token = mesh.nodes[0].node_id, mesh.admin_token
        operator = NodeClient(session, port=int(mesh.nodes[0].admin.rpartition(":")[2]))
        witness = await operator.take_witness(node_id, "127.0.0.1", token)
        await mesh.stop(0)
        wrong = Home(mesh, 31 * DAY_S)
        await wrong.node.start()
        await wait_ready(mesh)
        assert wrong.doubts == ["later"]
        if way == "it hands a mark back":
            await operator.hand_back(node_id, "127.0.0.1", token, witness.mark)
        else:
            await operator.check_resume(node_id, "127.0.0.1", token, witness)
        await wrong.wait_doubts(["later", "off"])
        await wrong.node.stop()
