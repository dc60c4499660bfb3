"""What the node's settings leave to outsiders of Hermes' own transport: to apps, and to whoever comes to the mesh's port."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hermes_h2.bounds import Bounds
from hermes_h2.serving.limits import Limits
from hermes_node.config.addresses import parse_network
from hermes_node.config.sections import Config, LimitsSection
from hermes_node.streams import grpc_options
from hermes_wire.app import MAX_BATCH_BYTES

MESH_FIRST_MESSAGE_BYTES: Final = 16 * 1024
"""Twice what is answered before a proof: what is a little too long is still told so."""
MESH_STRANGERS_A_NAME: Final = 8
"""Connections on which nothing was proven, for each name in their certificate: a node's has several, one for a whole mesh
those of all nodes. Who starts has three at once."""
MESH_OPENINGS: Final = 64
MESH_OPENINGS_PER_S: Final = 4.0
"""Of one connection, without a proof: a node opens two streams, and a health check one now and then."""


def build_limits(config: Config) -> Limits:
    limits = config.limits
    return Limits(
        bounds=_build_bounds(limits.max_streams_per_connection),
        connections=limits.max_connections or limits.max_sessions + limits.max_unproven_connections,
        strangers=limits.max_unproven_connections,
        strangers_an_address=limits.max_unproven_connections_per_address,
        streams=grpc_options.max_concurrent_rpcs(limits),
        setup_s=limits.connect_timeout_s,
        idle_s=grpc_options.IDLE_CONNECTION_MS / 1000,
        keepalive_s=grpc_options.KEEPALIVE_MS / 1000,
        keepalive_timeout_s=grpc_options.KEEPALIVE_TIMEOUT_MS / 1000,
        trusted_proxies=tuple(parse_network(text, "app.trusted_proxies") for text in config.app.trusted_proxies),
    )


def build_mesh_limits(limits: LimitsSection) -> Limits:
    """For nodes: few streams a connection, and connections without any, whose member is not known, do not stay."""
    bounds = _build_bounds(grpc_options.MAX_MESH_STREAMS_PER_CONNECTION)
    return Limits(
        bounds=replace(
            bounds,
            first_refusals=grpc_options.MAX_MESH_STREAMS_PER_CONNECTION,
            first_message_bytes=MESH_FIRST_MESSAGE_BYTES,
            openings=MESH_OPENINGS,
            openings_per_s=MESH_OPENINGS_PER_S,
            lent_bytes=bounds.message_bytes,  # one long message at a time: a member has one stream that has any
        ),
        connections=grpc_options.max_mesh_connections(limits),
        strangers=grpc_options.SPARE_MESH_CONNECTIONS,
        strangers_an_address=max(1, grpc_options.SPARE_MESH_CONNECTIONS // 2),
        strangers_a_name=MESH_STRANGERS_A_NAME,
        streams=grpc_options.max_mesh_rpcs(limits),
        setup_s=grpc_options.MESH_HANDSHAKE_MS / 1000,
        idle_s=grpc_options.IDLE_MESH_CONNECTION_MS / 1000,
        keepalive_s=grpc_options.KEEPALIVE_MS / 1000,
        keepalive_timeout_s=grpc_options.KEEPALIVE_TIMEOUT_MS / 1000,
    )


def _build_bounds(streams: int) -> Bounds:
    return Bounds(
        message_bytes=MAX_BATCH_BYTES + grpc_options.RECEIVE_SLACK_BYTES,
        header_list_bytes=grpc_options.MAX_METADATA_BYTES,
        streams=streams,
    )
