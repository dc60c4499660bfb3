"""What frames carry, as bytes and as values. Whatever cannot be read is a fault; nothing else raises."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from dataclasses import dataclass, field
from struct import Struct, error
from typing import Any, Final

from hermes_front.link.bounds import HOST_BYTES, NAME_BYTES, NAMES, PATH_BYTES, TEXT_BYTES, VERSION, LinkBounds, Room
from hermes_front.link.faults import Fault, LinkFaultError
from hermes_h2.bounds import Bounds
from hermes_h2.events import Refusal
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.tls_context import PemMaterial

REFUSALS: Final = tuple(Refusal)
"""Their order is part of the protocol."""

_HELLO: Final = Struct(">HQBBBB")
_CREDIT: Final = Struct(">II")
_NUMBER: Final = Struct(">Q")
_STATS: Final = Struct(f">III{len(REFUSALS)}Q")
_SHORT: Final = Struct(">H")
_LENGTHS: Final = Struct(">III")
_NO_CA: Final = (1 << 32) - 1
_MAX_STATUS: Final = 16


@dataclass(frozen=True, slots=True)
class FrontHello:
    """`run`: which start of a front this is; what the kernel keeps it from, as `Confinement` has it."""

    run: int
    landlock: int = 0
    confined: bool = False
    no_tcp: bool = False
    no_signals: bool = False


@dataclass(frozen=True, slots=True)
class StreamOpening:
    """A stream that a peer opened: the served path, where the peer comes from, and the names that its certificate proves."""

    path: str
    host: str
    port: int
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stats:
    """A front's counters as they are, not as they changed: one that is lost is no loss. `held`: bytes for peers."""

    connections: int = 0
    strangers: int = 0
    held: int = 0
    refusals: tuple[int, ...] = (0,) * len(REFUSALS)


@dataclass(frozen=True, slots=True)
class Told:
    """A connection that a front refused, for the log."""

    refusal: Refusal
    host: str
    detail: str


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """What a front is told before it serves."""

    limits: Limits
    paths: tuple[str, ...]
    link: LinkBounds = field(default_factory=LinkBounds)


def build_hello(hello: FrontHello) -> bytes:
    return _HELLO.pack(VERSION, hello.run, hello.landlock, hello.confined, hello.no_tcp, hello.no_signals)


def read_hello(payload: bytes) -> FrontHello:
    version, run, landlock, *kept = _unpack(_HELLO, payload)
    if version != VERSION:
        raise LinkFaultError(Fault.WRONG_VERSION)
    return FrontHello(int(run), int(landlock), *map(bool, kept))


def build_credit(frames: int, size: int) -> bytes:
    return _CREDIT.pack(frames, size)


def read_credit(payload: bytes) -> tuple[int, int]:
    frames, size = _unpack(_CREDIT, payload)
    if not frames:
        raise LinkFaultError(Fault.MALFORMED)
    return int(frames), int(size)


def build_number(number: int) -> bytes:
    return _NUMBER.pack(number)


def read_number(payload: bytes) -> int:
    return int(_unpack(_NUMBER, payload)[0])


def build_opening(opening: StreamOpening) -> bytes:
    """Names beyond the bounds are left out."""
    names = sorted(name for name in opening.names if len(name.encode()) <= NAME_BYTES)[:NAMES]
    path, host = opening.path.encode(), opening.host.encode()[:HOST_BYTES]
    return b"".join(
        (_pack_text(path), _pack_text(host), _SHORT.pack(opening.port), *(_pack_text(name.encode()) for name in names))
    )


def read_opening(payload: bytes) -> StreamOpening:
    path, rest = _take_text(payload, PATH_BYTES)
    host, rest = _take_text(rest, HOST_BYTES)
    (port,) = _unpack(_SHORT, rest[: _SHORT.size])
    rest = rest[_SHORT.size :]
    names: list[str] = []
    while rest:
        name, rest = _take_text(rest, NAME_BYTES)
        names.append(name)
    if len(names) > NAMES or len(set(names)) != len(names):
        raise LinkFaultError(Fault.MALFORMED)
    return StreamOpening(path, host, port, frozenset(names))


def build_end(status: int, text: str) -> bytes:
    return bytes([status]) + text.encode()[:TEXT_BYTES]


def read_end(payload: bytes) -> tuple[int, str]:
    if not payload or payload[0] > _MAX_STATUS:
        raise LinkFaultError(Fault.MALFORMED)
    return payload[0], payload[1:].decode("utf-8", "replace")


def build_stats(stats: Stats) -> bytes:
    return _STATS.pack(stats.connections, stats.strangers, min(stats.held, _NO_CA), *stats.refusals)


def read_stats(payload: bytes) -> Stats:
    connections, strangers, held, *refusals = _unpack(_STATS, payload)
    return Stats(connections, strangers, held, tuple(refusals))


def build_told(told: Told) -> bytes:
    number = bytes([REFUSALS.index(told.refusal)])
    return number + _pack_text(told.host.encode()[:HOST_BYTES]) + told.detail.encode()[:TEXT_BYTES]


def read_told(payload: bytes) -> Told:
    if not payload or payload[0] >= len(REFUSALS):
        raise LinkFaultError(Fault.MALFORMED)
    host, rest = _take_text(payload[1:], HOST_BYTES)
    return Told(REFUSALS[payload[0]], host, rest.decode("utf-8", "replace"))


def build_defect(what: str, *, of_system: bool) -> bytes:
    return bytes([of_system]) + what.encode()[:TEXT_BYTES]


def read_defect(payload: bytes) -> tuple[str, bool]:
    if payload[:1] not in {b"\0", b"\1"}:
        raise LinkFaultError(Fault.MALFORMED)
    return payload[1:].decode("utf-8", "replace"), bool(payload[0])


def build_material(material: PemMaterial) -> bytes:
    ca = material.ca_pem
    lengths = _LENGTHS.pack(len(material.cert_pem), len(material.key_pem), _NO_CA if ca is None else len(ca))
    return lengths + material.cert_pem + material.key_pem + (ca or b"")


def read_material(payload: bytes) -> PemMaterial:
    cert, key, ca = _unpack(_LENGTHS, payload[: _LENGTHS.size])
    rest = payload[_LENGTHS.size :]
    if len(rest) != cert + key + (0 if ca == _NO_CA else ca):
        raise LinkFaultError(Fault.MALFORMED)
    return PemMaterial(rest[:cert], rest[cert : cert + key], None if ca == _NO_CA else rest[cert + key :])


def build_settings(settings: FrontSettings) -> bytes:
    said = dataclasses.asdict(settings)
    said["limits"]["trusted_proxies"] = [str(network) for network in settings.limits.trusted_proxies]
    return json.dumps(said, separators=(",", ":")).encode()


def read_settings(payload: bytes) -> FrontSettings:
    try:
        said: dict[str, Any] = json.loads(payload)
        limits, link = dict(said["limits"]), dict(said["link"])
        limits["bounds"] = Bounds(**limits["bounds"])
        limits["trusted_proxies"] = tuple(ipaddress.ip_network(text) for text in limits["trusted_proxies"])
        for name in ("stranger_room", "proven_room"):
            link[name] = Room(**link[name])
        paths = tuple(str(path) for path in said["paths"])
        return FrontSettings(Limits(**limits), paths, LinkBounds(**link))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise LinkFaultError(Fault.MALFORMED) from None


def _pack_text(text: bytes) -> bytes:
    return _SHORT.pack(len(text)) + text


def _take_text(data: bytes, most: int) -> tuple[str, bytes]:
    (size,) = _unpack(_SHORT, data[: _SHORT.size])
    end = _SHORT.size + size
    if size > most or end > len(data):
        raise LinkFaultError(Fault.MALFORMED)
    try:
        return data[_SHORT.size : end].decode(), data[end:]
    except UnicodeDecodeError:
        raise LinkFaultError(Fault.MALFORMED) from None


def _unpack(layout: Struct, data: bytes) -> tuple[Any, ...]:
    try:
        return layout.unpack(data)
    except error:
        raise LinkFaultError(Fault.MALFORMED) from None
