"""Finding the mesh: the addresses behind the seeds, what became of each, and whether this node is alone by design."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from hermes_core.ids import NodeId
from hermes_node.config.addresses import Address, Seed

RESOLVE_S: Final = 2.0
"""A round waits so long for name servers; whoever has answered by then is asked, and the others when they have."""
NOBODY: Final = frozenset(code for code in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)) if code is not None)
"""What a name server says of a name that stands for nothing, as that of a headless Service without pods does."""


class JoinState(Enum):
    """Where this node stands with the mesh; `value` tells people why it is not ready."""

    JOINED = ""
    ALONE = "alone"
    JOINING = "the mesh is not joined yet: no seed has welcomed this node"


@dataclass(frozen=True, slots=True)
class SeedTarget:
    """One address to dial, and the name its certificate must carry (None: the address's host).

    `seed` as it is configured; empty for a member that was lost.
    """

    address: str
    server_name: str | None
    seed: str = ""


class SeedNames:
    """The owner of what the names among the seeds stood for when somebody said so last. `failures`: why not now, by seed."""

    def __init__(self, seeds: tuple[Seed, ...]) -> None:
        self._fixed = tuple(seed for seed in seeds if not seed.resolve_all)
        self._names = tuple(seed for seed in seeds if seed.resolve_all)
        self._lookups: dict[Seed, asyncio.Future[list[Any]]] = {}
        self._hosts: dict[Seed, tuple[str, ...]] = {}
        self.failures: dict[str, str] = {}

    @property
    def all_answered(self) -> bool:
        """Of each name somebody has said what it stands for, be it nothing."""
        return all(seed in self._hosts for seed in self._names)

    async def resolve(self) -> list[SeedTarget]:
        """Every address behind the seeds, once.

        A name without an answer keeps those that it had; one that is slow holds up nobody.
        """
        loop = asyncio.get_running_loop()
        for seed in self._names:
            if seed not in self._lookups:
                lookup = loop.getaddrinfo(seed.address.host, seed.address.port, type=socket.SOCK_STREAM)
                self._lookups[seed] = asyncio.ensure_future(lookup)
        try:
            if self._lookups:
                await asyncio.wait(self._lookups.values(), timeout=RESOLVE_S)
        except asyncio.CancelledError:
            for pending in self._lookups.values():
                pending.cancel()
            raise
        for seed in self._names:
            self._take(seed)
        return self._list()

    def _take(self, seed: Seed) -> None:
        if not self._lookups[seed].done():
            self.failures[str(seed)] = "no name server has answered yet"
            return
        lookup = self._lookups.pop(seed)
        self.failures.pop(str(seed), None)
        try:
            self._hosts[seed] = tuple(sorted({str(entry[4][0]) for entry in lookup.result()}))
        except (OSError, UnicodeError) as error:
            self.failures[str(seed)] = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) in NOBODY:
                self._hosts[seed] = ()

    def _list(self) -> list[SeedTarget]:
        targets: dict[str, SeedTarget] = {}
        for seed in self._fixed:
            targets.setdefault(str(seed.address), SeedTarget(str(seed.address), None, str(seed)))
        for seed, hosts in self._hosts.items():
            for host in hosts:
                address = str(Address(host, seed.address.port))
                targets.setdefault(address, SeedTarget(address, seed.address.host, str(seed)))
        return list(targets.values())


class SeedOutcomes:
    """What became of each seed, by address; decides the join state."""

    def __init__(self, own_id: NodeId) -> None:
        self._own_id = own_id
        self._met: dict[str, NodeId] = {}
        self._unreached: set[str] = set()
        self._alone = False
        self.joined = False

    def met(self, address: str, node_id: NodeId) -> None:
        """A node answered at this address."""
        self._met[address] = node_id
        self._unreached.discard(address)
        if node_id != self._own_id:
            self.joined = True

    def missed(self, address: str) -> None:
        """Nobody answered there."""
        self._met.pop(address, None)
        self._unreached.add(address)

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

    def find_alone(self, *, asked_all: bool, grace_over: bool) -> None:
        """Once the grace is over and nobody but this node itself was found behind the seeds, all of which were asked.

        It stays so until it is joined: whoever appears behind a seed later and does not answer yet takes no readiness away.
        """
        self._alone = self._alone or (asked_all and grace_over and not self._unreached)

    @property
    def state(self) -> JoinState:
        if self.joined:
            return JoinState.JOINED
        return JoinState.ALONE if self._alone else JoinState.JOINING
