"""What a connection tells its shell, and why it refuses a peer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """For metrics and logs: which bound or rule a peer broke. One connection breaks one."""

    PREFACE = "preface"
    PROTOCOL = "protocol"
    FLOW_CONTROL = "flow_control"
    COMPRESSION = "compression"
    HEADER_BLOCK = "header_block"
    HEADER_BUDGET = "header_budget"
    CONTROL_FRAMES = "control_frames"
    OPENINGS = "openings"
    STREAMS_BEFORE_PROOF = "streams_before_proof"
    # What the shell refuses.
    CONNECTIONS = "connections"
    SETUP_TIME = "setup_time"
    SILENCE = "silence"
    # A TLS handshake that failed: what came is no TLS, or none of HTTP/2's; a version that is not spoken here; no certificate
    # where one is wanted, or one that is not believed; a peer that does not go on, and says so or just leaves, as those do that
    # do not believe the certificate of this end.
    TLS = "tls"
    TLS_VERSION = "tls_version"
    NO_CERTIFICATE = "no_certificate"
    UNKNOWN_CA = "unknown_ca"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE = "certificate"
    TLS_ALERT = "tls_alert"
    TLS_LEFT = "tls_left"
    PROXY_HEADER = "proxy_header"


@dataclass(frozen=True, slots=True)
class RequestOpened:
    """A request. `fields`: its header fields by name, pseudo fields among them; a name that came twice has its last value."""

    stream: int
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Arrived:
    """There is something to take from a stream: a message, its end, or what makes it unreadable."""

    stream: int


@dataclass(frozen=True, slots=True)
class Writable:
    """Everything that a stream was given to send is in the output."""

    stream: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The peer reset a stream, or broke a rule that ends one."""

    stream: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The connection is over: what `take_output` gives is its last. `detail` says what it was, without the peer's bytes."""

    refusal: Refusal
    detail: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The peer acknowledged a PING."""


ConnectionEvent = RequestOpened | Arrived | Writable | Gone | Refused | Answered
