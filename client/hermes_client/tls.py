"""How the client secures its connection to a node, and the gRPC channel that follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import grpc
import grpc.aio

from hermes_client.arguments import take
from hermes_client.errors import ConnectSetupError
from hermes_core.errors import HermesError
from hermes_core.limits import MAX_BATCH_BYTES
from hermes_core.values import dataclass
from hermes_wire.byte_stream import dial_target

MAX_RECEIVE_BYTES: Final = 2 * MAX_BATCH_BYTES


@dataclass(frozen=True, slots=True)
class ClientTls:
    """TLS to the node.

    `ca_file`: PEM roots to trust (None: gRPC's built-in public roots). `server_name`: the name to expect in the node's
    certificate when the address does not carry it. `cert_file` and `key_file`: for nodes that ask for client certificates.
    The files are read at every connection, so that renewed ones are picked up. Paths may be given as text.
    TypeError for what is no path or name, HermesError for a certificate without its key or a key without its certificate.
    """

    ca_file: Path | None = None
    server_name: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        for name in ("ca_file", "cert_file", "key_file"):
            path = getattr(self, name)
            if isinstance(path, str):
                object.__setattr__(self, name, Path(path))
            elif path is not None:
                take(Path, path, name)
        if self.server_name is not None:
            take(str, self.server_name, "server_name")
        if (self.cert_file is None) != (self.key_file is None):
            raise HermesError("cert_file and key_file belong together: give both, or neither")


@dataclass(frozen=True, slots=True)
class PlainText:
    """No TLS: for loopback, and where something in front of the node ends TLS. Content stays end-to-end encrypted."""


PLAIN: Final = PlainText()

_OPTIONS: Final[list[tuple[str, int]]] = [
    # Each attempt is a connection of its own: the client has its own backoff, gRPC's would be hidden under it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
    ("grpc.enable_http_proxy", 0),
]


def open_channel(address: str, tls: ClientTls | PlainText) -> grpc.aio.Channel:
    """A fresh channel to `address` ("host:port"); raise ConnectSetupError when a file cannot be read."""
    if isinstance(tls, PlainText):
        return grpc.aio.insecure_channel(dial_target(address), options=_OPTIONS)
    options: list[tuple[str, int | str]] = list(_OPTIONS)
    if tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca_file),
        private_key=_read(tls.key_file),
        certificate_chain=_read(tls.cert_file),
    )
    return grpc.aio.secure_channel(dial_target(address), credentials, options=options)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConnectSetupError(f"cannot read {path}: {error.strerror}; give a readable PEM file") from error
