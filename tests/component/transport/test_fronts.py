"""Fronts and their owner: who stops reading, what is long, and fronts that are not ours any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import grpc
import grpc.aio
import pytest

from hermes_client.scenario.certificates import LocalAuthority
from hermes_front.owner.reports import EndReason
from hermes_front.owner.server import FrontServer, FrontStartError, share
from hermes_front.owner.spawning import build_environment, read_resident_bytes
from hermes_h2.frames import FrameKind, build_frame
from hermes_h2.serving.call import ServedCall
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.proxy_header import SIGNATURE
from tests.component.transport.dialling import RawPeer, connect, echo, open_call, until
from tests.component.transport.rogue_front import mode_file
from tests.component.transport.serving import HANDLERS, SERVICE, Watched, serving
from tests.component.transport.test_tls import dial_tls, load
from tests.support.h2_peer import prefix

ROGUE = "tests.component.transport.rogue_front"
MIB = 1 << 20


def server_of(watched: Watched) -> FrontServer:
    assert isinstance(watched.server, FrontServer)
    return watched.server


async def test_batches_of_four_mebibytes_go_both_ways_and_are_not_held() -> None:
    async with serving(fronts=1) as watched, connect(watched) as channel:
        call = open_call(channel)
        await echo(call, b"hello")
        for _ in range(8):
            await echo(call, os.urandom(4 * MIB))
        assert (read_resident_bytes(watched.pids[0]) or 0) < 96 * MIB
    assert watched.refused == []
    assert watched.ends[-1].reason is EndReason.STOPPED


async def test_a_peer_that_stopped_reading_holds_its_handler_back_and_nobody_else() -> None:
    async with serving(fronts=1) as watched, connect(watched) as channel, connect(watched) as other:
        written = 0

        async def pour(call: ServedCall) -> None:
            nonlocal written
            call.prove()
            while True:
                await call.write(bytes(16_384))
                written += 1

        server_of(watched)._handlers = {**HANDLERS, f"/{SERVICE}/Ignore": pour}
        stuck = open_call(channel, "Ignore")
        await stuck.write(b"begin")
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.5)
        assert 0 < written < 2_000
        (run,) = server_of(watched)._running()
        assert run.link.unsent < MIB
        assert (read_resident_bytes(watched.pids[0]) or 0) < 96 * MIB
        await echo(open_call(other), b"goes on")
        assert server_of(watched).figures().waits > 0
        stuck.cancel()
        await until(lambda: len(watched.calls) == 1)


async def test_a_handler_that_stopped_reading_holds_its_peer_back_and_nobody_else() -> None:
    async with serving(fronts=1) as watched, connect(watched) as channel:
        stuck, taken = open_call(channel, "Ignore"), 0
        await stuck.write(b"what a stranger may say")
        await until(lambda: (server_of(watched).figures().connections, server_of(watched).figures().strangers) == (1, 0))
        with contextlib.suppress(TimeoutError):
            while taken < 1024:
                await asyncio.wait_for(stuck.write(bytes(16_384)), 1)  # as long as a stranger's may be: the proof is under way
                taken += 1
        assert 0 < taken < 256
        await echo(open_call(channel), b"goes on")
        stuck.cancel()


async def test_names_of_certificates_reach_the_owner(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    tls = load(authority, tmp_path, client_ca=True)
    authority.issue_node("app-1")
    async with serving(tls=tls, fronts=1) as watched, dial_tls(watched, tmp_path, "app-1") as channel:
        await echo(open_call(channel), b"known")
        (call,) = watched.calls
        assert "app-1" in call.peer_names()


async def test_whom_a_trusted_proxy_speaks_for_reaches_the_owner() -> None:
    header = SIGNATURE + b"\x21\x11" + struct.pack(">H", 12) + bytes((192, 0, 2, 7)) + bytes(4) + struct.pack(">HH", 4711, 443)
    async with serving(Limits(trusted_proxies=(ip_network("127.0.0.0/8"),)), fronts=1) as watched:
        raw = await RawPeer.dial(watched, header)
        raw.open()
        raw.writer.write(build_frame(FrameKind.DATA, 0, 1, prefix(b"hello")))
        assert await raw.wait(FrameKind.DATA) == prefix(b"hello")
        (call,) = watched.calls
        assert call.peer() == ("192.0.2.7", 4711)
        raw.writer.close()


async def test_a_stop_lets_calls_end_by_themselves_and_says_goodbye() -> None:
    async with serving(fronts=2) as watched, connect(watched) as channel:
        call = open_call(channel)
        await echo(call, b"hello")
        stopping = asyncio.create_task(watched.server.stop(20))
        await asyncio.sleep(0.3)
        await echo(call, b"still")
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK
        async with asyncio.timeout(10):
            await stopping
    assert [end.reason for end in watched.ends] == [EndReason.STOPPED] * 2


async def test_a_thousand_streams_of_a_dead_front_end_and_the_next_serves() -> None:
    async with serving(fronts=1) as watched:
        channels = [connect(watched) for _ in range(5)]
        calls = []
        for channel in channels:
            first = open_call(channel)
            await echo(first, b"x")
            calls += [first, *(open_call(channel) for _ in range(100))]
        await asyncio.gather(*(echo(call, b"x") for call in calls))
        assert len(watched.calls) == 505
        os.kill(watched.pids[0], signal.SIGKILL)
        await until(lambda: not watched.calls and len(watched.pids) == 2)
        assert {await call.code() for call in calls} == {grpc.StatusCode.UNAVAILABLE}
        for channel in channels:
            await channel.close()
        async with connect(watched) as channel:
            await echo(open_call(channel), b"again")
        assert watched.ends[0].streams == 505


@pytest.fixture
def become() -> Iterator[Callable[[str], object]]:
    """What the fronts of this test do."""
    path = mode_file(os.getpid())
    yield path.write_text
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("what", "reason"),
    [("break_rule", EndReason.RULE), ("stay_deaf", EndReason.UNANSWERED), ("grow", EndReason.MEMORY)],
)
async def test_a_front_that_is_not_ours_any_more_is_killed(
    what: str, reason: EndReason, become: Callable[[str], object]
) -> None:
    become(what)
    async with serving(fronts=1, module=ROGUE) as watched:
        await until(lambda: bool(watched.ends))
        assert watched.ends[0].reason is reason
        assert read_resident_bytes(watched.pids[0]) is None


async def test_a_front_that_says_all_that_it_may_keeps_its_owner_going(become: Callable[[str], object]) -> None:
    """It takes time, and nothing else: no memory, and no turn of the event loop is long."""
    become("flood")
    async with serving(fronts=1, module=ROGUE) as watched:
        loop = asyncio.get_running_loop()
        worst = 0.0
        before = read_resident_bytes(os.getpid()) or 0
        for _ in range(60):
            asked = loop.time()
            await asyncio.sleep(0.05)
            worst = max(worst, loop.time() - asked - 0.05)
        assert server_of(watched).figures().frames_in > 1_000
        assert worst < 1.0
        assert (read_resident_bytes(os.getpid()) or 0) - before < 64 * MIB


async def test_a_front_that_cannot_start_is_an_error_of_the_start() -> None:
    watched = Watched(Limits(), None, fronts=1, module="tests.component.transport.no_such_front")
    with pytest.raises(FrontStartError, match="exit code 1"):
        await watched.server.start(HANDLERS)
    await watched.server.stop(0)


def test_the_environment_of_a_front_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMES_KEYSTORE_PASSPHRASE", "secret")
    assert set(build_environment()) == {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}


def test_each_front_has_its_share_of_the_limits_and_no_more_connections_than_memory_for_them() -> None:
    limits = Limits(connections=1_001, strangers=5, strangers_an_address=3, streams=11)
    part = share(limits, 2, 192 * MIB)
    assert (part.connections, part.strangers, part.strangers_an_address, part.streams) == (501, 3, 2, 11)
    assert share(Limits(connections=100_000), 1, 192 * MIB).connections == 112 * 1024 // 40
    assert share(Limits(), 1, 96 * MIB).connections == 16 * 1024 // 40
    assert share(Limits(), 1, MIB).connections == 64
