"""Seeds: what names stand for while name servers fail, when a node is alone, how many it asks, what it says of failures."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from typing import Any

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_node.config.addresses import parse_seed
from hermes_node.config.sections import MeshSection
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh import seeds as module
from hermes_node.mesh.dial_tasks import DialTasks
from hermes_node.mesh.interface import Dialer, Welcome
from hermes_node.mesh.joining import Joining
from hermes_node.mesh.seed_log import SAY_EVERY_S, SeedLog
from hermes_node.mesh.seeds import JoinState, SeedNames, SeedOutcomes, SeedTarget
from hermes_node.metrics.registry import NodeMetrics
from hermes_wire.byte_stream import StreamEndedError

OWN = NodeId("hermes-0")


def find_state(outcomes: SeedOutcomes) -> JoinState:
    """As it is now: mypy takes a property for what it was."""
    return outcomes.state


def make_names(*texts: str) -> SeedNames:
    return SeedNames(tuple(parse_seed(text, "f") for text in texts))


class Resolver:
    """In the place of the machine's: addresses, or what it fails with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[str] | OSError] = {}
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)

    def _resolve(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        answer = self.answers[host]
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)) for address in answer]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


async def test_each_address_behind_the_seeds_is_there_once_with_the_name_to_check(resolver: Resolver) -> None:
    resolver.answers = {"nodes": ["::1", "10.0.0.1", "fe80::1%eth0"]}
    names = make_names("dns:nodes:7443", "10.0.0.1:7443")
    assert await names.resolve() == [
        SeedTarget("10.0.0.1:7443", None, "10.0.0.1:7443"),
        SeedTarget("[::1]:7443", "nodes", "dns:nodes:7443"),
        SeedTarget("[fe80::1%eth0]:7443", "nodes", "dns:nodes:7443"),
    ]


async def test_a_name_server_that_fails_takes_no_address_away(resolver: Resolver) -> None:
    names = make_names("dns:nodes:1")
    resolver.answers["nodes"] = socket.gaierror(socket.EAI_AGAIN, "later")
    assert await names.resolve() == []
    assert (names.all_answered, names.failures) == (False, {"dns:nodes:1": "later"})
    resolver.answers["nodes"] = ["10.0.0.1"]
    found = await names.resolve()
    assert (names.all_answered, names.failures) == (True, {})
    resolver.answers["nodes"] = socket.gaierror(socket.EAI_AGAIN, "later")
    assert await names.resolve() == found
    resolver.answers["nodes"] = socket.gaierror(socket.EAI_NONAME, "unknown")
    assert await names.resolve() == []
    assert names.all_answered


async def test_a_name_that_takes_long_holds_up_no_other_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESOLVE_S", 0.01)
    asked: list[str] = []
    answered = asyncio.Event()

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        await answered.wait()
        return [(0, 0, 0, "", ("10.0.0.9", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    names = make_names("dns:slow:1", "10.0.0.1:1")
    for _ in range(3):
        assert [target.address for target in await names.resolve()] == ["10.0.0.1:1"]
    assert asked == ["slow"], "one question at a time"
    assert not names.all_answered
    answered.set()
    assert [target.address for target in await names.resolve()] == ["10.0.0.1:1", "10.0.0.9:1"]


def test_alone_only_when_all_were_asked_in_the_grace_and_nobody_else_is_behind_the_seeds() -> None:
    outcomes = SeedOutcomes(OWN)
    for asked_all, grace_over in ((False, True), (True, False)):
        outcomes.find_alone(asked_all=asked_all, grace_over=grace_over)
        assert find_state(outcomes) is JoinState.JOINING
    outcomes.met("10.0.0.1:1", OWN)
    outcomes.missed("10.0.0.2:1")
    outcomes.find_alone(asked_all=True, grace_over=True)
    assert find_state(outcomes) is JoinState.JOINING
    outcomes.keep_only({"10.0.0.1:1"})  # the name does not resolve to it any more
    outcomes.find_alone(asked_all=True, grace_over=True)
    assert find_state(outcomes) is JoinState.ALONE
    outcomes.missed("10.0.0.2:1")  # one that is new, and does not listen yet
    outcomes.find_alone(asked_all=True, grace_over=True)
    assert find_state(outcomes) is JoinState.ALONE
    outcomes.met("10.0.0.3:1", NodeId("hermes-1"))
    outcomes.missed("10.0.0.3:1")
    assert find_state(outcomes) is JoinState.JOINED  # joined once is joined
    assert outcomes.node_at("10.0.0.1:1") == OWN


class Nowhere:
    """Dials that wait until they are let fail, and members of whom none is linked."""

    def __init__(self) -> None:
        self.under_way: list[str] = []
        self.most = 0
        self.asked: list[str] = []
        self.fail = asyncio.Event()

    async def join(self, address: str, server_name: str | None) -> Welcome:  # noqa: ARG002
        self.asked.append(address)
        self.under_way.append(address)
        self.most = max(self.most, len(self.under_way))
        try:
            await self.fail.wait()
        finally:
            self.under_way.remove(address)
        raise StreamEndedError("refused")

    def is_linked(self, node_id: NodeId) -> bool:  # noqa: ARG002
        return False

    def list_lost(self) -> list[SeedTarget]:
        return [SeedTarget(f"10.1.0.{number}:1", f"lost-{number}") for number in range(20)]

    def take_welcome(self, welcome: Welcome) -> None:
        raise AssertionError(welcome)


async def test_a_few_are_asked_at_a_time_however_often_rounds_come_and_each_gets_its_turn(resolver: Resolver) -> None:
    resolver.answers = {"nodes": [f"10.0.{number // 200}.{number % 200}" for number in range(300)]}
    clock, nowhere = [0.0], Nowhere()
    log = EventLog(stream=io.StringIO(), node_id="n", clock=lambda: 0.0)
    tasks = DialTasks(log, lambda: None)
    settings = MeshSection(seeds=("dns:nodes:1",), join_grace_s=0.0)
    joining = Joining(
        OWN,
        settings,
        nowhere,
        tasks,
        now=lambda: clock[0],
        log=log,
        metrics=NodeMetrics(version="1"),
        entropy=SYSTEM_RANDOM,
        at_once=5,
    )
    dialer: Any = nowhere  # it only ever joins

    async def go_round(dialer: Dialer) -> None:
        clock[0] += 3.0
        joining.start(clock[0], dialer)
        while "seeds" in tasks:  # noqa: ASYNC110 - a task of somebody else
            await asyncio.sleep(0.001)

    for _ in range(4):
        await go_round(dialer)
    assert len(nowhere.under_way) == nowhere.most == 5
    nowhere.fail.set()
    while len(nowhere.asked) < 320 and clock[0] < 1000.0:
        await go_round(dialer)
    assert len(set(nowhere.asked)) == len(nowhere.asked) == 320, "none twice before each once"
    assert nowhere.most == 5
    await go_round(dialer)
    assert joining.asked_all
    assert joining.state is JoinState.JOINING, "there are others, who do not answer"
    await tasks.close()


class Said:
    """What a SeedLog writes, by a clock of the test's."""

    def __init__(self) -> None:
        self.now = 0.0
        self._text = io.StringIO()
        self.log = SeedLog(EventLog(stream=self._text, node_id="n", clock=lambda: 0.0), lambda: self.now)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._text.getvalue().splitlines()]


def test_of_many_failures_behind_a_name_there_is_a_line_a_minute_until_each_kind_was_said() -> None:
    said = Said()
    targets = [SeedTarget(f"10.0.0.{number}:1", "nodes", "dns:nodes:1") for number in range(9)]
    for second in range(200):
        said.now = float(second)
        for number, target in enumerate(targets):
            said.log.missed(target, TimeoutError() if number else ProtocolError(ErrorCode.AUTH_FAILED, "not you"))
    first, second_line = said.lines()
    assert (first["address"], first["failing"]) == ("10.0.0.0:1", 1)
    assert (second_line["failing"], second_line["reason"]) == (8, "no answer in time")
    assert "firewall" in second_line["cure"]
    assert "of its own" in first["cure"]


def test_a_node_that_waited_in_vain_for_a_proof_is_no_other_node() -> None:
    said = Said()
    said.log.missed(SeedTarget("[::1]:1", None, "[::1]:1"), ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "no proof in time"))
    assert "slow" in said.lines()[0]["cure"]


def test_a_place_that_answered_meanwhile_is_said_again_but_not_within_a_minute() -> None:
    said = Said()
    target = SeedTarget("[::1]:1", None, "[::1]:1")
    said.log.missed(target, StreamEndedError("CERTIFICATE_VERIFY_FAILED"))
    said.log.met("[::1]:1")
    said.log.missed(target, StreamEndedError("CERTIFICATE_VERIFY_FAILED"))
    assert len(said.lines()) == 1
    said.now = SAY_EVERY_S
    said.log.missed(target, StreamEndedError("CERTIFICATE_VERIFY_FAILED"))
    assert len(said.lines()) == 2
    assert "bear the name ::1" in said.lines()[0]["cure"]


@pytest.mark.parametrize("how", ["Unwrap failed (TSI_DATA_CORRUPTED)", "Socket closed"])
def test_whose_certificate_is_refused_is_sent_to_the_log_of_the_node_that_refuses(how: str) -> None:
    said = Said()
    target = SeedTarget("a:7443", None, "a:7443")
    said.log.missed(target, StreamEndedError(f"UNAVAILABLE: ipv4:192.0.2.1:7443: {how}"))
    assert "mesh_connection_refused" in said.lines()[0]["cure"]


def test_a_name_without_an_answer_is_said_once_and_what_it_stands_for_no_more_is_forgotten() -> None:
    said = Said()
    for second in (0, 100, 200):
        said.now = float(second)
        said.log.resolved({"dns:nodes:1": "later"}, ())
    assert [line["reason"] for line in said.lines()] == ["later"]
    said.log.resolved({}, ())
    said.now = 300.0
    said.log.resolved({"dns:nodes:1": "later"}, ())
    assert len(said.lines()) == 2
