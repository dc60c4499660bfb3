"""Bounds of what an outsider can open, and the gRPC options that hold the rest of them."""

from __future__ import annotations

from typing import Final

from hermes_node.config.sections import LimitsSection
from hermes_wire.app import MAX_BATCH_BYTES

RECEIVE_SLACK_BYTES: Final = 64 * 1024
"""A message a little above the bound is still answered with INVALID_FRAME; a much larger one is cut off by gRPC unread."""

MAX_METADATA_BYTES: Final = 8 * 1024
MAX_STREAMS_PER_CONNECTION: Final = 4096
IDLE_CONNECTION_MS: Final = 300_000
MAX_MESH_STREAMS_PER_CONNECTION: Final = 32
IDLE_MESH_CONNECTION_MS: Final = 15_000
MESH_HANDSHAKE_MS: Final = 5_000
SPARE_MESH_CONNECTIONS: Final = 512
KEEPALIVE_MS: Final = 60_000
KEEPALIVE_TIMEOUT_MS: Final = 20_000
MAX_PENDING_FRAMES: Final = 1024
"""Frames of one stream that may wait for the chat machine before its stream is not read any more."""

GrpcOptions = list[tuple[str, int | str]]


DIAL_OPTIONS: Final[GrpcOptions] = [
    ("grpc.max_receive_message_length", MAX_BATCH_BYTES + RECEIVE_SLACK_BYTES),
    ("grpc.max_send_message_length", 2 * MAX_BATCH_BYTES),
    # Each attempt is a connection of its own, with the certificates of now; the driver has its own backoff.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]


def server_options(limits: LimitsSection) -> GrpcOptions:
    """Options of a gRPC server that faces outsiders."""
    return [
        ("grpc.max_receive_message_length", MAX_BATCH_BYTES + RECEIVE_SLACK_BYTES),
        ("grpc.max_send_message_length", 2 * MAX_BATCH_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
        ("grpc.max_connection_idle_ms", IDLE_CONNECTION_MS),
        # A peer that vanished without a word is noticed, and what its streams hold is freed.
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.server_handshake_timeout_ms", int(limits.connect_timeout_s * 1000)),
        ("grpc.so_reuseport", 0),  # a second process on the port is a mistake to report, not a way to share it
    ]


def mesh_server_options(limits: LimitsSection) -> GrpcOptions:
    """For nodes: few streams a connection, and connections without any, whose member is not known, do not stay."""
    options = dict(server_options(limits)) | {
        "grpc.max_concurrent_streams": MAX_MESH_STREAMS_PER_CONNECTION,
        "grpc.max_connection_idle_ms": IDLE_MESH_CONNECTION_MS,
        "grpc.server_handshake_timeout_ms": MESH_HANDSHAKE_MS,
        "grpc.max_allowed_incoming_connections": max_mesh_connections(limits),
    }
    return list(options.items())


def max_mesh_connections(limits: LimitsSection) -> int:
    """Of every member one that links and one that joins, and room for those that wait to be ended."""
    return 2 * limits.max_peers + SPARE_MESH_CONNECTIONS


def max_mesh_rpcs(limits: LimitsSection) -> int:
    """As `max_concurrent_rpcs`."""
    return 4 * limits.max_peers + SPARE_MESH_CONNECTIONS


def max_concurrent_rpcs(limits: LimitsSection) -> int:
    """Streams beyond this end with RESOURCE_EXHAUSTED before any code of ours runs."""
    return limits.max_sessions + limits.max_unauthenticated_streams + 64
