"""What is said of seeds that cannot be joined: a line for each seed, with the cure, and at most one a minute."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_node.config.addresses import parse_address
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.seeds import SeedTarget

SAY_EVERY_S: Final = 60.0
MAX_REASON_CHARS: Final = 300
UNRESOLVED_CURE: Final = "check the name in mesh.seeds and this machine's name servers; it is asked again"
_CERTIFICATE_WORDS: Final = ("certificate", "hostname", "peer name", "handshake")
"""Of a peer that does not like ours it is often known only that the handshake ended."""
_REFUSED_WORDS: Final = ("unwrap failed", "socket closed")
"""gRPC's library of TLS's alert in the place of HTTP/2's first word: with TLS 1.3 this end was done with the handshake."""


class SeedLog:
    """The owner of what was said: of places with one cure together and once, until they answered or left their name."""

    def __init__(self, log: EventLog, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._failing: dict[str, tuple[str, str]] = {}
        """Seed and cure of each address, or of the seed itself, whose failure is not over."""
        self._said: set[tuple[str, str]] = set()
        """Place and cure."""
        self._said_at: dict[str, float] = {}

    def resolved(self, failures: Mapping[str, str], addresses: Collection[str]) -> None:
        """What the names stand for now, and why some of them stand for nothing new."""
        gone = {place for place in self._failing if place not in addresses and place not in failures}
        self._failing = {place: facts for place, facts in self._failing.items() if place not in gone}
        self._said = {(place, cure) for place, cure in self._said if place not in gone}
        for seed, reason in failures.items():
            self._tell(seed, seed, reason, UNRESOLVED_CURE)

    def met(self, place: str) -> None:
        if self._failing.pop(place, None) is not None:
            self._said = {(other, cure) for other, cure in self._said if other != place}

    def missed(self, target: SeedTarget, error: Exception) -> None:
        reason = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
        name = target.server_name or parse_address(target.address, "mesh.seeds").host
        self._tell(target.seed, target.address, reason, _find_cure(error, name))

    def _tell(self, seed: str, place: str, reason: str, cure: str) -> None:
        self._failing[place] = (seed, cure)
        last = self._said_at.get(seed)
        if (place, cure) in self._said or (last is not None and self._now() - last < SAY_EVERY_S):
            return
        places = [other for other, facts in self._failing.items() if facts == (seed, cure)]
        self._said.update((other, cure) for other in places)
        self._said_at[seed] = self._now()
        self._log.warning(
            "mesh_seed_failed", seed=seed, address=place, failing=len(places), reason=reason[:MAX_REASON_CHARS], cure=cure
        )


def _find_cure(error: Exception, name: str) -> str:
    if isinstance(error, ProtocolError) and error.code is ErrorCode.AUTH_FAILED:
        return "each node needs a name, a keystore and a certificate of its own: see the log of the node that is there"
    certificates = _judge_certificates(str(error).lower(), name)
    if certificates is not None:
        return certificates
    if isinstance(error, ProtocolError) and error.code is ErrorCode.LIMIT_EXCEEDED:
        return "that node has too much to do just now; it is asked again"
    if isinstance(error, ProtocolError) and error.code is ErrorCode.ROUTE_UNAVAILABLE:
        return "that node was reached, and the link to it broke or is slow; it is asked again"
    if isinstance(error, TimeoutError):
        return "see that a node of this mesh listens there, and that no firewall lies between; it is asked again"
    return "start the node that belongs there, or take it out of mesh.seeds; it is asked again"


def _judge_certificates(text: str, name: str) -> str | None:
    if any(words in text for words in _REFUSED_WORDS):
        return "the node there refuses this one's certificate, and its log says why (mesh_connection_refused)"
    if any(word in text for word in _CERTIFICATE_WORDS):
        both = "both certificates must be signed by mesh.tls_ca"
        return f"is it a node of this mesh? {both}, and the one there must bear the name {name}"
    return None
