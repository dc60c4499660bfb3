"""Finding the mesh: resolve the seeds, join through each, and know whether this node is alone by design."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from enum import Enum

from hermes_core.ids import NodeId
from hermes_node.config.addresses import Address, Seed


class JoinState(Enum):
    """Where this node stands with the mesh; `value` tells people why it is not ready."""

    JOINED = ""
    ALONE = "alone"
    JOINING = "the mesh is not joined yet: no seed has welcomed this node"


@dataclass(frozen=True, slots=True)
class SeedTarget:
    """One address to dial, and the name its certificate must carry (None: the address's host)."""

    address: str
    server_name: str | None


async def resolve_seeds(seeds: tuple[Seed, ...]) -> list[SeedTarget]:
    """Every address behind the seeds; a name that does not resolve gives none."""
    targets: dict[str, SeedTarget] = {}
    for seed in seeds:
        if not seed.resolve_all:
            target = SeedTarget(str(seed.address), None)
            targets.setdefault(target.address, target)
            continue
        for host in await _resolve(seed.address):
            address = str(Address(host, seed.address.port))
            targets.setdefault(address, SeedTarget(address, seed.address.host))
    return list(targets.values())


async def _resolve(address: Address) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(entry[4][0]) for entry in found})


class SeedOutcomes:
    """What became of each seed, by address; decides the join state."""

    def __init__(self, own_id: NodeId) -> None:
        self._own_id = own_id
        self._met: dict[str, NodeId] = {}
        self._unreached: set[str] = set()
        self.joined = False

    def met(self, address: str, node_id: NodeId) -> None:
        """A node answered at this address."""
        self._met[address] = node_id
        self._unreached.discard(address)
        if node_id != self._own_id:
            self.joined = True

    def missed(self, address: str) -> bool:
        """Nobody answered there; True when that is news."""
        news = address not in self._unreached
        self._met.pop(address, None)
        self._unreached.add(address)
        return news

    def node_at(self, address: str) -> NodeId | None:
        """Who answered there last."""
        return self._met.get(address)

    def asked(self, address: str) -> bool:
        """Whether anything came of it so far."""
        return address in self._met or address in self._unreached

    def keep_only(self, addresses: set[str]) -> None:
        """Forget what the seeds do not resolve to any more."""
        self._met = {address: node_id for address, node_id in self._met.items() if address in addresses}
        self._unreached &= addresses

    def state(self, *, grace_over: bool, any_member: bool) -> JoinState:
        """ALONE only once the grace is over and nobody but this node itself was found behind the seeds."""
        if self.joined or any_member:
            return JoinState.JOINED
        return JoinState.ALONE if grace_over and not self._unreached else JoinState.JOINING
