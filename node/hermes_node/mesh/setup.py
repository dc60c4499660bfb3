"""Put the mesh together: listen, sign the descriptor with the bound address, drive membership, dial."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from hermes_core.crypto.random import RandomSource
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.machine import Membership
from hermes_node.config.addresses import parse_address
from hermes_node.config.core_params import build_mesh_params
from hermes_node.config.sections import Config
from hermes_node.keystore.identity import StoredIdentity
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.clocks import Clocks
from hermes_node.mesh.dialer import MeshDialer
from hermes_node.mesh.driver import MeshDriver
from hermes_node.mesh.interface import MeshListener
from hermes_node.mesh.links import PeerInbox
from hermes_node.mesh.server import MeshServer
from hermes_node.mesh.streams import SERVICE
from hermes_node.mesh.witnessing import Witnessing
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.transport import StreamServer, Transport
from hermes_node.tls.files import ReloadingTls
from hermes_node.version import read_version

HANDSHAKE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class MeshPart:
    """A started mesh server and its driver; `run` is the coroutine that ticks it."""

    driver: MeshDriver
    server: StreamServer
    run: Coroutine[Any, Any, None]


@dataclass(frozen=True, slots=True)
class MeshContext:
    """What the mesh needs of the node."""

    config: Config
    stored: StoredIdentity
    app_address: str
    transport: Transport
    tls: ReloadingTls
    chats: PeerInbox
    listener: MeshListener
    witnessing: Witnessing
    clocks: Clocks
    now: Callable[[], float]
    log: EventLog
    metrics: NodeMetrics
    random: RandomSource


async def start_mesh(context: MeshContext) -> MeshPart:
    """Listen and serve. ListenError when the address cannot be had."""
    config, stored = context.config, context.stored
    server = context.transport.listen_for_nodes(SERVICE, parse_address(config.mesh.listen, "mesh.listen"), context.tls)
    descriptor = sign_descriptor(
        stored.identity,
        node_id=NodeId(config.node.id),
        address=config.mesh.advertise or str(server.address),
        incarnation=stored.incarnation,
        version=read_version(),
        app_address=context.app_address,
        renewals=stored.renewals,
    )
    driver = MeshDriver(
        identity=stored.identity,
        membership=Membership(stored.identity, descriptor, build_mesh_params(config), context.now()),
        settings=config.mesh,
        listener=context.listener,
        witnessing=context.witnessing,
        clocks=context.clocks,
        now=context.now,
        log=context.log,
        metrics=context.metrics,
        entropy=context.random,
    )

    serving = MeshServer(mesh=driver, chats=context.chats, handshake_timeout_s=HANDSHAKE_TIMEOUT_S, log=context.log)
    dialer = MeshDialer(
        mesh=driver,
        chats=context.chats,
        connect=lambda address, server_name: context.transport.connect(address, server_name, context.tls),
        timeout_s=HANDSHAKE_TIMEOUT_S,
    )
    await server.start(serving.handlers())
    return MeshPart(driver, server, driver.run(dialer))
