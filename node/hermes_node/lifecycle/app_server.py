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
class AppListener:
    """It has its port, and serves nobody yet. `address` is the one that apps use, `advertised` what others are told of it."""

    server: StreamServer
    address: Address

    @property
    def advertised(self) -> str:
        """Empty when apps cannot be told: every address of this machine is none, nor is one that only this machine knows."""
        return "" if self.address.every or self.address.zoned else str(self.address)


@dataclass(frozen=True, slots=True)
class AppContext:
    """What the apps' half needs of the node."""

    chats: ChatDriver
    mesh: Mesh
    log: EventLog


def listen_for_apps(config: Config, transport: Transport, tls: ReloadingTls | None) -> AppListener:
    """ListenError when the address cannot be had. `tls` None: apps connect without."""
    server = transport.listen_for_apps(SERVICE, parse_address(config.app.listen, "app.listen"), tls)
    address = parse_address(config.app.advertise, "app.advertise") if config.app.advertise else server.address
    return AppListener(server, address)


async def serve_apps(listener: AppListener, context: AppContext) -> None:
    """From here on apps are taken in."""
    chats = context.chats
    directory = Coalesced(lambda: context.mesh.set_local_apps(chats.connected_apps()), DIRECTORY_DELAY_S)
    chats.watch_apps(directory.request)
    router = AppRouter(streams=chats.streams, log=context.log)
    await listener.server.start(router.handlers())
