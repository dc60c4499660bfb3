"""Put the apps' half together: sessions whose coming and going the mesh hears of, the router, and the server that listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hermes_core.ids import NodeId
from hermes_node.apps.router import SERVICE, AppRouter
from hermes_node.apps.sessions import SessionTable
from hermes_node.chats.driver import ChatDriver
from hermes_node.config.addresses import Address, parse_address
from hermes_node.config.sections import Config
from hermes_node.lifecycle.coalesced import Coalesced
from hermes_node.lifecycle.steps import GrpcServer
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.interface import Mesh
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.servers import Health, bind, build_app_server
from hermes_node.tls.files import ReloadingTls

DIRECTORY_DELAY_S: Final = 0.02
"""Apps that come and go within this time are told to the mesh at once."""


@dataclass(frozen=True, slots=True)
class AppPart:
    """A started app server; `address` is the one that apps use."""

    sessions: SessionTable
    router: AppRouter
    listening: GrpcServer
    address: Address


@dataclass(frozen=True, slots=True)
class AppContext:
    """What the apps' half needs of the node. `tls` None: apps connect without."""

    config: Config
    node_key: bytes
    chats: ChatDriver
    mesh: Mesh
    tls: ReloadingTls | None
    now: Callable[[], float]
    log: EventLog
    metrics: NodeMetrics


async def start_app_server(context: AppContext) -> AppPart:
    """Listen and serve. ListenError when the address cannot be had."""
    config = context.config
    directory = Coalesced(lambda: context.mesh.set_local_apps(sessions.app_ids()), DIRECTORY_DELAY_S)
    sessions = SessionTable(config.limits.max_sessions, directory.request)
    router = AppRouter(
        config=config,
        node_id=NodeId(config.node.id),
        node_key=context.node_key,
        sessions=sessions,
        chats=context.chats,
        locate=context.mesh.locate,
        now=context.now,
        log=context.log,
        metrics=context.metrics,
    )
    health = Health(SERVICE)
    server = build_app_server(health, config.limits, (context.metrics.grpc,))
    tls = context.tls
    credentials = tls.server_credentials(require_client=bool(config.app.tls_client_ca)) if tls is not None else None
    address = bind(server, parse_address(config.app.listen, "app.listen"), credentials, "app.listen")
    if config.app.advertise:
        address = parse_address(config.app.advertise, "app.advertise")
    server.add_generic_rpc_handlers((router.handler(),))
    await server.start()
    return AppPart(sessions, router, GrpcServer(server, health), address)
