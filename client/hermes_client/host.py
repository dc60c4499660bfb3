"""What a client takes from the machine it runs on: time, random bytes, disk and network. A simulation hands in its own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from hermes_client.diagnosis import diagnose
from hermes_client.tls import ClientTls, PlainText, open_channel
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.mlkem import ML_KEM_768, Kem
from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource
from hermes_core.crypto.secret import SecretBytes
from hermes_core.keystore.key_backend import KeyBackend, PassphraseBackend
from hermes_core.values import dataclass
from hermes_keystore.database import Connector, connect_sqlite
from hermes_wire.byte_stream import Connection, GrpcConnection

OPEN_METHOD = "/hermes.v2.AppRouter/Open"


@dataclass(frozen=True, slots=True)
class ClientHost:
    """`wall`: seconds since 1970. `monotonic`: seconds, only ever rising.

    `connect`: from an address ("host:port") and how it is secured; it costs nothing until the stream is opened.
    `diagnose`: why no connection to it can come about, with the cure; None when one may.
    `open_database` and `build_backend`: of an AppStore, the latter from its passphrase and what that costs.
    """

    random: RandomSource
    kem: Kem
    wall: Callable[[], float]
    connect: Callable[[str, ClientTls | PlainText], Connection]
    diagnose: Callable[[str, ClientTls | PlainText], Awaitable[str | None]]
    monotonic: Callable[[], float] = time.monotonic
    open_database: Connector = connect_sqlite
    build_backend: Callable[[SecretBytes, Argon2Params | None], KeyBackend] = PassphraseBackend


def connect_grpc(address: str, tls: ClientTls | PlainText) -> GrpcConnection:
    """A channel of its own, with the certificates of now."""
    return GrpcConnection(open_channel(address, tls))


SYSTEM_HOST = ClientHost(SYSTEM_RANDOM, ML_KEM_768, time.time, connect_grpc, diagnose)
"""The real one."""
