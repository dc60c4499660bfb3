"""What a listener bears of all its peers together, and for how long it waits for one."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from hermes_h2.bounds import Bounds

ProxyNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Limits:
    """`trusted_proxies`: who may, and must, say in a PROXY header (version 2) for whom they connect."""

    bounds: Bounds = field(default_factory=Bounds)
    connections: int = 10_000
    strangers: int = 512
    """Connections on which nothing was proven; for one more the address that has most of them gives up its oldest."""
    strangers_an_address: int = 256
    """Of them; an IPv6 address is its /64."""
    strangers_a_name: int = 0
    """Of them with one certificate, for each name in it, from whatever addresses. 0: as many as there are."""
    patience_s: float = 1.0
    """So long a stranger keeps its place against another one whose address has as many."""
    streams: int = 10_000
    """At once, over all connections; one more ends with RESOURCE_EXHAUSTED."""
    setup_s: float = 10.0
    """To a first request; and so long a connection without a stream is kept before proof."""
    idle_s: float = 300.0
    """So long a proven connection without a stream is kept."""
    keepalive_s: float = 60.0
    """Of silence, then a PING."""
    keepalive_timeout_s: float = 20.0
    farewell_s: float = 1.0
    """For a peer to say that it has heard that this server goes; then it opens nothing any more."""
    hear_s: float = 0.25
    """For who is refused to hear why: a round trip."""
    linger_s: float = 1.0
    """To take the last bytes."""
    trusted_proxies: tuple[ProxyNetwork, ...] = ()
