"""Places for connections: how many of strangers, how many of one address, and who gives way."""

from __future__ import annotations

import ipaddress
import sys
from collections import OrderedDict
from typing import Final, Generic, TypeVar

IPV6_PREFIX_BITS: Final = 64
"""What one machine is given: addresses within it cost nothing."""

T = TypeVar("T")


def read_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Of a socket's peer, without its zone; an IPv4 one that a socket for both families shows as IPv6 is an IPv4 address."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def charge_to(host: str) -> str:
    """Whose connection it is: an IPv4 address, an IPv6 address's /64, or what is neither, as it is."""
    ip = read_ip(host)
    if ip is None:
        return host
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ipaddress.ip_network((ip, IPV6_PREFIX_BITS), strict=False))


class Places(Generic[T]):
    """Who has proved something has a place of its own. Strangers share theirs by address: the one with most gives way.

    Between equals it is the oldest that goes, when it has had its time: who means to prove something has done so by then, and
    who does not cannot hold the door. Before that it is the newest, or none of many who come at once would get through.
    """

    def __init__(self, *, total: int, strangers: int, an_address: int, patience_s: float) -> None:
        self._total = total
        self._most_strangers = strangers
        self._an_address = an_address
        self._patience_s = patience_s
        self._strangers: dict[str, OrderedDict[T, float]] = {}
        """By address, the oldest first: since when."""
        self._stranger_count = 0
        self._addresses: dict[T, str] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def strangers(self) -> int:
        return self._stranger_count

    def admit(self, who: T, address: str, now: float) -> T | None:
        """A stranger's place for `who`; who has to give way, `who` itself when nobody else does."""
        evicted = self._find_to_give_way(who, address, now)
        if evicted is who:
            return who
        if evicted is not None:
            self.leave(evicted)
        self._addresses[who] = address
        self._add_stranger(who, address, now)
        return evicted

    def move(self, who: T, address: str, now: float) -> T | None:
        """It is another's than it seemed; as `admit`."""
        self.leave(who)
        return self.admit(who, address, now)

    def prove(self, who: T) -> None:
        self._remove_stranger(who)

    def doubt(self, who: T, now: float) -> None:
        """What it had proved is over: it is a stranger again."""
        address = self._addresses.get(who)
        if address is not None and who not in self._strangers.get(address, ()):
            self._add_stranger(who, address, now)

    def leave(self, who: T) -> None:
        """Idempotent."""
        self._remove_stranger(who)
        self._addresses.pop(who, None)

    def _find_to_give_way(self, who: T, address: str, now: float) -> T | None:
        own = self._strangers.get(address, OrderedDict())
        if len(own) >= self._an_address:
            most = own
        elif self._stranger_count < self._most_strangers and len(self._addresses) < self._total:
            return None
        else:
            most = max(self._strangers.values(), key=len, default=own)
        if not most:
            return who
        oldest, since = next(iter(most.items()))
        return oldest if len(most) > len(own) + 1 or now - since >= self._patience_s else who

    def _add_stranger(self, who: T, address: str, now: float) -> None:
        self._strangers.setdefault(address, OrderedDict())[who] = now
        self._stranger_count += 1

    def _remove_stranger(self, who: T) -> None:
        address = self._addresses.get(who)
        mates = self._strangers.get(address) if address is not None else None
        if address is None or mates is None or who not in mates:
            return
        del mates[who]
        self._stranger_count -= 1
        if not mates:
            del self._strangers[address]


class NamedPlaces(Generic[T]):
    """Of those who have shown a certificate and proved nothing else: so many for each name in it, since it may be that of many.

    Within a certificate they are shared by address: one of its bearers does not push the others out.
    """

    def __init__(self, *, a_name: int, patience_s: float) -> None:
        self._a_name = a_name
        self._patience_s = patience_s
        self._by_names: dict[frozenset[str], Places[T]] = {}
        self._names: dict[T, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def admit(self, who: T, names: frozenset[str], address: str, now: float) -> T | None:
        """As `Places.admit`."""
        mates = self._by_names.get(names)
        if mates is None:
            most = self._a_name * len(names)
            mates = Places(total=sys.maxsize, strangers=most, an_address=most, patience_s=self._patience_s)
        evicted = mates.admit(who, address, now)
        if evicted is who:
            return who
        if evicted is not None:
            self.leave(evicted)
        self._by_names[names] = mates
        self._names[who] = names
        return evicted

    def prove(self, who: T) -> None:
        if who in self._names:
            self._by_names[self._names[who]].prove(who)

    def doubt(self, who: T, now: float) -> None:
        if who in self._names:
            self._by_names[self._names[who]].doubt(who, now)

    def leave(self, who: T) -> None:
        """Idempotent."""
        names = self._names.pop(who, None)
        if names is None:
            return
        mates = self._by_names[names]
        mates.leave(who)
        if not len(mates):
            del self._by_names[names]
