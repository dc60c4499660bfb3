"""Put the apps' half together: the mesh hears who comes and goes, the router serves, the server listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_node.apps.router import SERVICE, AppRouter
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

    listening: GrpcServer
    address: Address


@dataclass(frozen=True, slots=True)
class AppContext:
    """What the apps' half needs of the node. `tls` None: apps connect without."""

    config: Config
    chats: ChatDriver
    mesh: Mesh
    tls: ReloadingTls | None
    log: EventLog
    metrics: NodeMetrics


async def start_app_server(context: AppContext) -> AppPart:
    """Listen and serve. ListenError when the address cannot be had."""
    config = context.config
    chats = context.chats
    directory = Coalesced(lambda: context.mesh.set_local_apps(chats.connected_apps()), DIRECTORY_DELAY_S)
    chats.watch_apps(directory.request)
    router = AppRouter(streams=chats, log=context.log)
    health = Health(SERVICE)
    server = build_app_server(health, config.limits, (context.metrics.grpc,))
    tls = context.tls
    credentials = tls.server_credentials(require_client=bool(config.app.tls_client_ca)) if tls is not None else None
    address = bind(server, parse_address(config.app.listen, "app.listen"), credentials, "app.listen")
    if config.app.advertise:
        address = parse_address(config.app.advertise, "app.advertise")
    server.add_generic_rpc_handlers((router.handler(),))
    await server.start()
    return AppPart(GrpcServer(server, health), address)
