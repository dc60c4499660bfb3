"""Messages of SWIM, protobuf to core and back; every number and length is held to its bound here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from hermes_core.crypto.signing import SIGNATURE_BYTES
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, PUBLIC_KEY_BYTES, parse_node_id
from hermes_core.mesh.swim import messages as swim
from hermes_core.protocol.validate import require
from hermes_proto.v2 import swim_pb2
from hermes_wire.homes import build_descriptor, parse_descriptor


def _check_signature(signature: bytes, *, optional: bool = False) -> None:
    require(len(signature) == SIGNATURE_BYTES or (optional and not signature), "signature must be 64 bytes")


def _check_number(*values: int) -> None:
    require(max(values) <= MAX_POSITION, "incarnation or sequence number is too large")


def _check_key(key: bytes) -> None:
    require(len(key) == PUBLIC_KEY_BYTES, "key must be 32 bytes")


def _parse_departure(pb: swim_pb2.Departure) -> swim.SignedDeparture:
    _check_key(pb.subject_key)
    _check_number(pb.incarnation)
    _check_signature(pb.signature)
    return swim.SignedDeparture(parse_node_id(pb.subject), pb.subject_key, pb.incarnation, pb.signature)


def _build_departure(m: swim.SignedDeparture) -> swim_pb2.Departure:
    return swim_pb2.Departure(subject=m.subject, subject_key=m.subject_key, incarnation=m.incarnation, signature=m.signature)


def _parse_accusation(pb: swim_pb2.Accusation) -> swim.Accusation:
    _check_key(pb.subject_key)
    _check_key(pb.accuser_key)
    _check_number(pb.incarnation, pb.accuser_incarnation)
    _check_signature(pb.signature)
    subject, accuser = parse_node_id(pb.subject), parse_node_id(pb.accuser)
    require(subject != accuser, "nobody accuses itself")
    word = (accuser, pb.accuser_key, pb.accuser_incarnation, pb.signature)
    return swim.Accusation(subject, pb.subject_key, pb.incarnation, *word)


def _build_accusation(m: swim.Accusation) -> swim_pb2.Accusation:
    return swim_pb2.Accusation(
        subject=m.subject,
        subject_key=m.subject_key,
        incarnation=m.incarnation,
        accuser=m.accuser,
        accuser_key=m.accuser_key,
        accuser_incarnation=m.accuser_incarnation,
        signature=m.signature,
    )


def _parse_facts(facts: Sequence[swim_pb2.Fact]) -> tuple[swim.Fact, ...]:
    require(len(facts) <= swim.MAX_FACTS, "too many facts")
    return tuple(map(_parse_fact, facts))


def _parse_fact(pb: swim_pb2.Fact) -> swim.Fact:
    field = pb.WhichOneof("body")
    if field == "alive":
        return swim.Alive(parse_descriptor(pb.alive))
    if field == "departure":
        return _parse_departure(pb.departure)
    require(field == "accusation", "empty or unknown fact")
    return _parse_accusation(pb.accusation)


def _build_facts(facts: Iterable[swim.Fact]) -> list[swim_pb2.Fact]:
    return list(map(_build_fact, facts))


def _build_fact(m: swim.Fact) -> swim_pb2.Fact:
    if isinstance(m, swim.Alive):
        return swim_pb2.Fact(alive=build_descriptor(m.descriptor))
    if isinstance(m, swim.SignedDeparture):
        return swim_pb2.Fact(departure=_build_departure(m))
    return swim_pb2.Fact(accusation=_build_accusation(m))


def _parse_ping(pb: swim_pb2.Ping) -> swim.Ping:
    _check_number(pb.seq)
    require(len(pb.nonce) in (0, swim.NONCE_BYTES), "nonce must be 16 bytes")
    require(bool(pb.nonce) == bool(pb.asker), "a nonce is somebody's")
    asker = parse_node_id(pb.asker) if pb.asker else ""
    return swim.Ping(pb.seq, pb.nonce, asker, _parse_facts(pb.facts))


def _build_ping(m: swim.Ping) -> swim_pb2.Ping:
    return swim_pb2.Ping(seq=m.seq, nonce=m.nonce, asker=m.asker, facts=_build_facts(m.facts))


def _parse_pong(pb: swim_pb2.Pong) -> swim.Pong:
    _check_number(pb.seq)
    _check_signature(pb.signature, optional=True)
    return swim.Pong(pb.seq, pb.signature, _parse_facts(pb.facts))


def _build_pong(m: swim.Pong) -> swim_pb2.Pong:
    return swim_pb2.Pong(seq=m.seq, signature=m.signature, facts=_build_facts(m.facts))


def _parse_request(pb: swim_pb2.PingRequest) -> swim.PingRequest:
    _check_number(pb.seq)
    require(len(pb.nonce) == swim.NONCE_BYTES, "nonce must be 16 bytes")
    return swim.PingRequest(pb.seq, parse_node_id(pb.target), pb.nonce, _parse_facts(pb.facts))


def _build_request(m: swim.PingRequest) -> swim_pb2.PingRequest:
    return swim_pb2.PingRequest(seq=m.seq, target=m.target, nonce=m.nonce, facts=_build_facts(m.facts))


def _parse_report(pb: swim_pb2.PingReport) -> swim.PingReport:
    _check_number(pb.seq)
    _check_signature(pb.signature, optional=True)
    return swim.PingReport(pb.seq, pb.signature)


def _build_report(m: swim.PingReport) -> swim_pb2.PingReport:
    return swim_pb2.PingReport(seq=m.seq, signature=m.signature)


def _parse_digests(pb: swim_pb2.SyncDigests) -> swim.SyncDigests:
    require(len(pb.sums) == swim.BUCKETS, f"there are {swim.BUCKETS} buckets")
    return swim.SyncDigests(tuple(pb.sums))


def _build_digests(m: swim.SyncDigests) -> swim_pb2.SyncDigests:
    return swim_pb2.SyncDigests(sums=m.sums)


def _parse_listed(pb: swim_pb2.ListedMember) -> swim.ListedMember:
    _check_number(pb.incarnation)
    require(len(pb.mark) == swim.MARK_BYTES, "mark must be 8 bytes")
    return swim.ListedMember(parse_node_id(pb.node_id), pb.incarnation, pb.mark)


def _build_listed(m: swim.ListedMember) -> swim_pb2.ListedMember:
    return swim_pb2.ListedMember(node_id=m.node_id, incarnation=m.incarnation, mark=m.mark)


def _parse_listing(pb: swim_pb2.SyncListing) -> swim.SyncListing:
    require(len(pb.entries) <= swim.MAX_ENTRIES, "too many entries")
    return swim.SyncListing(pb.mask, tuple(map(_parse_listed, pb.entries)))


def _build_listing(m: swim.SyncListing) -> swim_pb2.SyncListing:
    return swim_pb2.SyncListing(mask=m.mask, entries=map(_build_listed, m.entries))


def _parse_wanted(pb: swim_pb2.SyncWanted) -> swim.SyncWanted:
    require(len(pb.names) <= swim.MAX_WANTED, "too many names")
    return swim.SyncWanted(tuple(map(parse_node_id, pb.names)))


def _build_wanted(m: swim.SyncWanted) -> swim_pb2.SyncWanted:
    return swim_pb2.SyncWanted(names=m.names)


def _parse_sync_facts(pb: swim_pb2.SyncFacts) -> swim.SyncFacts:
    return swim.SyncFacts(_parse_facts(pb.facts))


def _build_sync_facts(m: swim.SyncFacts) -> swim_pb2.SyncFacts:
    return swim_pb2.SyncFacts(facts=_build_facts(m.facts))


_PARSERS: Final[dict[str, Callable[[Any], swim.SwimMessage]]] = {
    "ping": _parse_ping,
    "pong": _parse_pong,
    "ping_request": _parse_request,
    "ping_report": _parse_report,
    "digests": _parse_digests,
    "listing": _parse_listing,
    "wanted": _parse_wanted,
    "facts": _parse_sync_facts,
}
_BUILDERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    swim.Ping: ("ping", _build_ping),
    swim.Pong: ("pong", _build_pong),
    swim.PingRequest: ("ping_request", _build_request),
    swim.PingReport: ("ping_report", _build_report),
    swim.SyncDigests: ("digests", _build_digests),
    swim.SyncListing: ("listing", _build_listing),
    swim.SyncWanted: ("wanted", _build_wanted),
    swim.SyncFacts: ("facts", _build_sync_facts),
}

SWIM_TYPES: Final = tuple(_BUILDERS)


def parse_swim(pb: swim_pb2.SwimMessage) -> swim.SwimMessage:
    """Raise INVALID_FRAME unless every field is within its bound; signatures are not checked here."""
    field = pb.WhichOneof("body")
    if field is None:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "empty or unknown message")
    return _PARSERS[field](getattr(pb, field))


def build_swim(m: swim.SwimMessage) -> swim_pb2.SwimMessage:
    field, build = _BUILDERS[type(m)]
    return swim_pb2.SwimMessage(**{field: build(m)})
