"""Put the mesh together: listen, sign the descriptor with the bound address, drive membership, dial."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hermes_core.crypto.random import RandomSource, generate_below
from hermes_core.ids import NodeId
from hermes_core.mesh.carry.detours import Detours
from hermes_core.mesh.carry.places import CarryPlaces
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.homes.machine import Homes
from hermes_core.mesh.machine import Membership
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.pin_keeper import PinKeeper
from hermes_core.mesh.swim.machine import Swim
from hermes_core.mesh.swim.statements import IdentitySignatures
from hermes_keystore.history import Place
from hermes_node.chats.driver import ChatDriver
from hermes_node.config.addresses import parse_address
from hermes_node.config.core_params import (
    build_carry_params,
    build_detour_params,
    build_homes_params,
    build_mesh_params,
    build_swim_params,
)
from hermes_node.config.sections import Config
from hermes_node.keystore.identity import StoredIdentity
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.clocks import Clocks
from hermes_node.mesh.dialer import MeshDialer
from hermes_node.mesh.driver import MeshDriver
from hermes_node.mesh.interface import SwimListener
from hermes_node.mesh.server import MeshServer
from hermes_node.mesh.streams import SERVICE
from hermes_node.mesh.swim_driver import SwimDriver
from hermes_node.mesh.witnessing import Witnessing
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.transport import StreamServer, Transport
from hermes_node.tls.files import ReloadingTls
from hermes_node.version import read_version

HANDSHAKE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class MeshPart:
    """A started mesh server and its driver; `run` is the coroutine that ticks it."""

    driver: MeshDriver | SwimDriver
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
    chats: ChatDriver
    listener: SwimListener
    witnessing: Witnessing
    clocks: Clocks
    now: Callable[[], float]
    log: EventLog
    metrics: NodeMetrics
    random: RandomSource
    commit_age: Callable[[], float]
    boot: Callable[[], float]
    pins: Sequence[NodeDescriptor]
    keep: Callable[[Mapping[Place, bytes], Collection[Place]], None]
    counts_stamp: Callable[[int, float], bool]


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
    driver = (_build_swim if config.mesh.membership == "swim" else _build_gossip)(context, descriptor)
    serving = MeshServer(
        mesh=driver,
        handshake_timeout_s=HANDSHAKE_TIMEOUT_S,
        log=context.log,
        count_refused=context.metrics.listeners.count_mesh,
    )
    dialer = MeshDialer(
        mesh=driver,
        connect=lambda address, server_name: context.transport.connect(address, server_name, context.tls),
        timeout_s=HANDSHAKE_TIMEOUT_S,
    )
    await server.start(serving.handlers())
    return MeshPart(driver, server, driver.run(dialer))


def _build_homes(context: MeshContext, descriptor: NodeDescriptor) -> Homes:
    params, stored = build_homes_params(context.config), context.stored
    return Homes(stored.identity, descriptor.node_id, stored.incarnation, params, context.counts_stamp)


def _build_gossip(context: MeshContext, descriptor: NodeDescriptor) -> MeshDriver:
    config, stored = context.config, context.stored
    return MeshDriver(
        identity=stored.identity,
        membership=Membership(stored.identity, descriptor, build_mesh_params(config), context.now()),
        settings=config.mesh,
        chats=context.chats.streams,
        listener=context.listener,
        witnessing=context.witnessing,
        clocks=context.clocks,
        now=context.now,
        log=context.log,
        metrics=context.metrics,
        entropy=context.random,
        homes=_build_homes(context, descriptor),
    )


def _build_swim(context: MeshContext, descriptor: NodeDescriptor) -> SwimDriver:
    config, identity = context.config, context.stored.identity
    driver = SwimDriver(
        identity=identity,
        swim=Swim(
            descriptor,
            IdentitySignatures(identity),
            lambda below: generate_below(below, context.random),
            build_swim_params(config),
            context.now(),
            boot=context.boot(),
            known=context.pins,
        ),
        pins=PinKeeper(context.pins, config.limits.max_peers),
        keep=context.keep,
        settings=config.mesh,
        chats=context.chats,
        listener=context.listener,
        witnessing=context.witnessing,
        clocks=context.clocks,
        commit_age=context.commit_age,
        now=context.now,
        boot=context.boot,
        log=context.log,
        metrics=context.metrics,
        entropy=context.random,
        homes=_build_homes(context, descriptor),
        detours=Detours(build_detour_params(config)),
        places=CarryPlaces(build_carry_params(config)),
    )
    context.chats.dial_on_demand(driver.want_route)
    return driver
