"""Put the apps' half together: the mesh hears who comes and goes, the router serves, the server listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_node.apps.router import SERVICE, AppRouter
from hermes_node.chats.driver import ChatDriver
from hermes_node.config.addresses import Address, parse_address
from hermes_node.config.sections import Config
from hermes_node.lifecycle.coalesced import Coalesced
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.interface import Mesh
from hermes_node.streams.transport import StreamServer, Transport
from hermes_node.tls.files import ReloadingTls

DIRECTORY_DELAY_S: Final = 0.02
"""Apps that come and go within this time are told to the mesh at once."""


@dataclass(frozen=True, slots=True)
class AppPart:
    """A started app server; `address` is the one that apps use."""

    server: StreamServer
    address: Address


@dataclass(frozen=True, slots=True)
class AppContext:
    """What the apps' half needs of the node. `tls` None: apps connect without."""

    config: Config
    chats: ChatDriver
    mesh: Mesh
    transport: Transport
    tls: ReloadingTls | None
    log: EventLog


async def start_app_server(context: AppContext) -> AppPart:
    """Listen and serve. ListenError when the address cannot be had."""
    config = context.config
    chats = context.chats
    directory = Coalesced(lambda: context.mesh.set_local_apps(chats.connected_apps()), DIRECTORY_DELAY_S)
    chats.watch_apps(directory.request)
    router = AppRouter(streams=chats, log=context.log)
    server = context.transport.listen_for_apps(SERVICE, parse_address(config.app.listen, "app.listen"), context.tls)
    address = parse_address(config.app.advertise, "app.advertise") if config.app.advertise else server.address
    await server.start(router.handlers())
    return AppPart(server, address)
