"""What a node takes from the machine it runs on: time, random bytes, the disk, the network. A simulation hands in its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.mlkem import ML_KEM_768, Kem
from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource
from hermes_core.crypto.secret import SecretBytes
from hermes_core.keystore.key_backend import KeyBackend, PassphraseBackend
from hermes_keystore.database import Connector, connect_sqlite
from hermes_node.config.sections import Config
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.grpc_transport import GrpcTransport
from hermes_node.streams.hermes_transport import HermesTransport
from hermes_node.streams.transport import Transport


@dataclass(frozen=True, slots=True)
class Host:
    """`wall` and `monotonic` in seconds; `cost_clock` as well, for what serving somebody costs: it only ever measures.

    `boot`: seconds that go on while the machine sleeps.
    `build_backend`: what wraps the master key, from passphrase, cost, and whether a file may ask for any other.
    """

    random: RandomSource
    kem: Kem
    wall: Callable[[], float]
    monotonic: Callable[[], float]
    cost_clock: Callable[[], float]
    connect: Connector
    build_backend: Callable[[SecretBytes, Argon2Params, bool], KeyBackend]
    build_transport: Callable[[Config, NodeMetrics, EventLog], Transport]
    boot: Callable[[], float]


def _build_transport(config: Config, metrics: NodeMetrics, log: EventLog) -> Transport:
    if config.app.transport == "hermes":
        return HermesTransport(config, metrics, log)
    return GrpcTransport(config.limits, (metrics.grpc,))


def _read_boot_clock() -> float:
    """Where there is none (macOS) the process' own: a sleep of the machine is not seen then."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


SYSTEM_HOST = Host(
    SYSTEM_RANDOM,
    ML_KEM_768,
    time.time,
    time.monotonic,
    time.perf_counter,
    connect_sqlite,
    PassphraseBackend,
    _build_transport,
    _read_boot_clock,
)
"""The real one."""
