"""How long a resume takes behind one address with many nodes: a balancer, real nodes, homes killed, streams broken.

`python -m tests.scenario.one_address --nodes 5 --rounds 40` prints the percentiles. A resume takes from when it is possible
(the home serves again; the network is there again) to the first message that comes through.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hermes_client import Chat, ClientTls, HermesClient
from hermes_client.scenario.local_mesh import LocalMesh
from tests.support.balancer import Balancer

MESSAGE_S = 60.0
TICK_S = 0.02


@dataclass
class Pair:
    """Two apps behind the balancer; the first one's home is what fails."""

    first: HermesClient
    second: HermesClient
    here: Chat
    there: Chat


@dataclass
class Resumes:
    """Seconds each. `broken`: the streams were cut; `killed`: the home was."""

    broken: list[float] = field(default_factory=list)
    killed: list[float] = field(default_factory=list)
    homes: set[str] = field(default_factory=set)
    moved: int = 0
    late: float = 0.0
    """How late a timer of this process was at most: on a busy machine the times say little of the client."""

    def __str__(self) -> str:
        kinds = {"streams broken": self.broken, "home killed": self.killed}
        lines = [f"{name}: {describe(times)}" for name, times in kinds.items() if times]
        lines.append(f"homes: {', '.join(sorted(self.homes))}; chats that moved: {self.moved}")
        return "\n".join([*lines, f"timers late by up to {self.late:.2f} s"])


def percentile(times: list[float], share: float) -> float:
    """The smallest that is not below `share` of all."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def describe(times: list[float]) -> str:
    median, p99 = statistics.median(times), percentile(times, 0.99)
    return f"{len(times)} resumes, p50 {median:.2f} s, p99 {p99:.2f} s, max {max(times):.2f} s"


async def _accept(client: HermesClient) -> Chat:
    async for offer in client.offers():
        return await offer.accept()
    raise AssertionError("the client was closed")


async def _exchange(pair: Pair, content: bytes) -> None:
    async with asyncio.timeout(MESSAGE_S):
        await pair.here.send(content)
        assert (await anext(pair.there)).content == content


@contextlib.asynccontextmanager
async def _pair(mesh: LocalMesh, address: str) -> AsyncIterator[Pair]:
    tls = ClientTls(ca_file=mesh.ca_file)
    async with HermesClient(address, tls=tls) as first, HermesClient(address, tls=tls) as second:
        await first.wait_for_app(second.app_id)
        accepting = asyncio.create_task(_accept(second))
        yield Pair(first, second, await first.start_chat(second.app_id), await accepting)


async def _watch_lateness(found: Resumes) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        found.late = max(found.late, loop.time() - due)


async def measure(nodes: int, pairs: int, rounds: int, kills: int) -> Resumes:
    """Each round breaks the streams of every pair; after `kills` of them, spread over all, one home is killed as well."""
    found = Resumes()
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(LocalMesh(nodes))
        balancer = await stack.enter_async_context(Balancer(lambda: [node.app for node in mesh.nodes if node.process]))
        opened = [await stack.enter_async_context(_pair(mesh, balancer.address)) for _ in range(pairs)]
        homes = [pair.first.home for pair in opened]
        found.homes = {str(home) for home in homes}

        async def resume(pair: Pair, content: bytes, times: list[float]) -> None:
            began_at = loop.time()
            await _exchange(pair, content)
            times.append(loop.time() - began_at)

        watching = asyncio.create_task(_watch_lateness(found))
        for number in range(rounds):
            for pair in opened:
                pair.first.reconnect()
            await asyncio.sleep(0)
            await asyncio.gather(*(resume(pair, b"broken %d" % number, found.broken) for pair in opened))
        for number in range(kills):
            home = opened[number % pairs].first.home
            index = next(index for index, node in enumerate(mesh.nodes) if node.node_id == home)
            await mesh.kill(index)
            await mesh.start(index)
            hit = [pair for pair in opened if pair.first.home == home]
            await asyncio.gather(*(resume(pair, b"killed %d" % number, found.killed) for pair in hit))
        watching.cancel()
        found.moved = sum(pair.first.home != home for pair, home in zip(opened, homes, strict=True))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("nodes", 5), ("pairs", 10), ("rounds", 20), ("kills", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    print(asyncio.run(measure(options.nodes, options.pairs, options.rounds, options.kills)))


if __name__ == "__main__":
    main()
