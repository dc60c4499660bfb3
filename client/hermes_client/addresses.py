"""Which address to try next: chats resume only at their home node, so it is preferred while any is alive."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hermes_core.errors import HermesError
from hermes_core.ids import NodeId
from hermes_core.mesh.addresses import may_lead

_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.]+(?:%[\w.~-]+)?\]|[^\s:/\[\]]+):(\d{1,5})")
MAX_PORT: Final = 65_535


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port", of IPv6 "[::1]:port"; HermesError for anything else, TypeError for no text."""
    if not isinstance(address, str):
        raise TypeError(f"an address is text, not {type(address).__name__}")
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) <= MAX_PORT:
        raise HermesError(f'{address!r} is no address; give "host:port", such as "hermes.example:8443" or "[::1]:8443"')
    return found[1].strip("[]"), int(found[2])


class AddressBook:
    """The node addresses an app was given ("host:port"), which node was last seen behind each, and the home's own address.

    An address may be a load balancer, with another node behind it each time: what was seen orders the attempts, and no
    address is ever ruled out.
    """

    def __init__(self, addresses: str | Sequence[str]) -> None:
        listed = [addresses] if isinstance(addresses, str) else list(addresses)
        if not listed or not all(listed):
            raise HermesError('give at least one node address, such as "hermes.example:8443"')
        for address in listed:
            split_address(address)
        self._seen: dict[str, NodeId | None] = dict.fromkeys(listed)
        self._round: list[str] = []
        self._round_home: NodeId | None = None
        self._own: tuple[NodeId, str] | None = None

    def may_learn(self, address: str) -> bool:
        """Whether a node may name it: one of this machine only to an app that was given such an address itself."""
        return any(may_lead(address, given) for given in self._seen)

    def choose(self, home: NodeId | None, *, home_only: bool = False) -> str:
        """The next address to try. Every address gets its turn before one is tried again; the home node's come first.

        `home_only`: nothing else in the next round, if there is anything that leads to it.
        """
        if home != self._round_home:
            self._round = []
            self._round_home = home
        if not self._round:
            ways = self._ways(home)
            others = [] if home_only and ways else [address for address in self._seen if address not in ways]
            self._round = ways + sorted(others, key=lambda address: self._seen[address] is not None)
        return self._round.pop(0)

    @property
    def round_over(self) -> bool:
        """Every address had its turn: time to wait before the next round."""
        return not self._round

    def learn(self, node_id: NodeId, address: str) -> None:
        """Where a node itself says that apps reach it: tried after the given addresses behind which it was seen last."""
        self._own = node_id, address

    def knows_way(self, home: NodeId | None) -> bool:
        """Whether some address is known to lead to that node, or to have led."""
        return home is not None and bool(self._ways(home))

    def is_own(self, address: str) -> bool:
        """It was not given, but learned."""
        return address not in self._seen

    def record(self, address: str, node_id: NodeId) -> None:
        """`node_id` answered at `address`."""
        if address in self._seen:
            self._seen[address] = node_id

    def connected(self) -> None:
        """A session stands: the next round starts anew, with the home node first."""
        self._round = []

    def avoid(self, address: str) -> None:
        """Try `address` last in the next round (its node is leaving)."""
        if address in self._seen:
            self._seen[address] = self._seen.pop(address)
        self._round = []

    def _ways(self, home: NodeId | None) -> list[str]:
        if home is None:
            return list(self._seen)
        found = [address for address, seen in self._seen.items() if seen == home]
        if self._own is not None and self._own[0] == home and self._own[1] not in self._seen:
            found.append(self._own[1])
        return found
