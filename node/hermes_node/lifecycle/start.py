"""The start of a node, step by step: open the keystore, bring the chats into memory, listen for nodes and apps."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from hermes_core.clock_check import ClockJudgement
from hermes_core.clock_peers import ClockPeers
from hermes_core.errors import HermesError, KeystoreError
from hermes_core.ids import NodeId
from hermes_core.mesh.mark_keeper import MarkKeeper
from hermes_core.mesh.opening_check import OpeningCheck
from hermes_core.relay.relay import Relay
from hermes_node.admin.resume import RestoredCounts
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.observer import ChatObserver
from hermes_node.chats.openings import KeystoreMarks, OwnOpenings
from hermes_node.chats.rollback import RollbackGuard
from hermes_node.chats.store import ChatStore
from hermes_node.clock import SteadyClock
from hermes_node.config.addresses import Address
from hermes_node.config.core_params import build_chat_params, build_opening_params, build_session_params
from hermes_node.config.file_modes import find_exposed
from hermes_node.config.sections import Config
from hermes_node.errors import NodeError
from hermes_node.host import Host
from hermes_node.lifecycle.app_server import AppContext, listen_for_apps, serve_apps
from hermes_node.lifecycle.mesh_news import MeshNews
from hermes_node.lifecycle.steps import Opened, Restored, Serving
from hermes_node.lifecycle.tasks import NodeTasks
from hermes_node.lifecycle.unseal import UnsealedNode, unseal_node
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.alone import LoneNode
from hermes_node.mesh.clocks import Clocks
from hermes_node.mesh.interface import Mesh
from hermes_node.mesh.setup import MeshContext, start_mesh
from hermes_node.mesh.witnessing import Witnessing
from hermes_node.metrics.labels import KeystoreOperation, TamperKind
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.outbox import QueueBounds
from hermes_node.streams.transport import StreamServer, Transport
from hermes_node.tls.setup import Certificates


@dataclass(frozen=True, slots=True)
class StartContext:
    """What is there before the first step and stays. What a step opens it pushes on `closing`, for a node that fails."""

    config: Config
    log: EventLog
    clock: SteadyClock
    metrics: NodeMetrics
    host: Host
    transport: Transport
    worker: ThreadPoolExecutor
    tasks: NodeTasks
    closing: AsyncExitStack

    @property
    def now(self) -> Callable[[], float]:
        return self.clock.now


async def open_keystore(
    context: StartContext, environment: MutableMapping[str, str]
) -> tuple[Opened, UnsealedNode, ClockPeers]:
    """In the worker thread: the loop goes on answering health checks. Raises KeystoreError or ConfigError."""
    loop = asyncio.get_running_loop()
    with context.metrics.keystore.operation(KeystoreOperation.UNSEAL):
        found = await loop.run_in_executor(context.worker, unseal_node, context.config, environment, context.host)
    clocks = _set_clock(context, found)
    store = ChatStore(found.keystore, context.worker, context.metrics.keystore, lambda: clocks.read(context.now()), context.now)
    store.note_ended_with(found.closed_values)
    context.closing.push_async_callback(_close_unflushed, store)
    context.closing.callback(found.stored.identity.wipe)
    _tell_opened(context, found)
    _tell_doubt(context, clocks.alone)
    await store.keep_time()
    return Opened(store, found.stored), found, clocks


async def restore_chats(context: StartContext, opened: Opened, found: UnsealedNode, clocks: ClockPeers) -> Restored:
    """Chats back into memory, in the worker thread as well; then their machine runs.

    KeystoreRolledBackError when the keystore proved to be an older copy and the node is to end for that.
    """
    relay = Relay(
        identity=opened.stored.identity,
        node_id=NodeId(context.config.node.id),
        chats=build_chat_params(context.config),
        sessions=build_session_params(context.config),
        marks=KeystoreMarks(opened.stored.identity, opened.store),
        random=context.host.random,
        kem=context.host.kem,
        renewals=opened.stored.renewals,
    )
    loop = asyncio.get_running_loop()
    restore = partial(relay.chats.restore, keys_in_doubt=clocks.alone.doubt is not None)
    relay.chats.set_calendar(clocks.ahead_s, context.now())
    with _collecting_later():
        await loop.run_in_executor(context.worker, restore, found.records, found.tombstones, context.now())
    counts = RestoredCounts(relay.chats.live_chats(), found.corrupt)
    context.log.info("chats_restored", chats=counts.resumed)
    observer = ChatObserver(context.log, context.metrics)
    limits = context.config.limits
    chats = ChatDriver(
        relay=relay,
        store=opened.store,
        observer=observer,
        app_queue=QueueBounds(limits.session_queue_frames, limits.session_queue_bytes),
        node_queue=QueueBounds(limits.peer_queue_frames, limits.peer_queue_bytes),
        now=context.now,
        cost_clock=context.host.cost_clock,
        log=context.log,
        on_failure=lambda error: _fail_commit(context, error),
    )
    context.closing.callback(chats.wipe)
    context.tasks.spawn(chats.run(), "chats")
    rollback = RollbackGuard(
        store=opened.store,
        chats=chats,
        policy=context.config.keystore.on_rollback,
        fail=context.tasks.fail,
        log=context.log,
        metrics=context.metrics.keystore,
    )
    await rollback.act()  # before anybody reaches this node: what is quarantined is resumed by nobody
    openings = OwnOpenings(opened.stored.identity, opened.store, chats, rollback)
    chats.watch_marks(lambda mark: context.tasks.spawn(openings.take_from_app(mark), "a mark from an app"))
    return Restored(opened.store, opened.stored, chats, observer, counts, openings)


async def start_servers(
    context: StartContext, restored: Restored, found: UnsealedNode, clocks: ClockPeers, certificates: Certificates
) -> tuple[Serving, dict[str, Address]]:
    """Listen for nodes, then for apps; what is served, and where. ListenError when an address cannot be had."""
    servers: list[StreamServer] = []
    addresses: dict[str, Address] = {}
    mesh: Mesh = LoneNode()
    listener = listen_for_apps(context.config, context.transport, certificates.app)
    context.closing.push_async_callback(listener.server.stop, 0)
    if certificates.mesh is not None:
        news = MeshNews(restored.chats, restored.store, restored.openings.rollback, context.tasks.spawn, context.tasks.fail)
        restored.chats.hold_resumes()  # until it is known whether another node has seen a later state of them
        part = await start_mesh(
            MeshContext(
                context.config,
                restored.stored,
                listener.advertised,
                context.transport,
                certificates.mesh,
                restored.chats,
                news,
                _build_witnessing(context, restored, found, news),
                Clocks(
                    peers=clocks,
                    clock=context.clock,
                    chats=restored.chats,
                    count_doubt=lambda judged: _tell_doubt(context, judged),
                    log=context.log,
                ),
                context.now,
                context.log,
                context.metrics,
                context.host.random,
                lambda: restored.store.oldest_age_s,
                context.host.boot,
                found.pins,
                news.keep_for_others,
                restored.chats.counts_stamp,
            )
        )
        restored.chats.watch_look_ups(part.driver.look_up)
        context.closing.push_async_callback(part.driver.close)
        context.closing.push_async_callback(part.server.stop, 0)
        context.tasks.spawn(part.run, "mesh")
        mesh = part.driver
        servers.append(part.server)
        addresses["mesh"] = part.server.address
    await serve_apps(listener, AppContext(restored.chats, mesh, context.log))
    servers.append(listener.server)
    addresses["app"] = listener.address
    return Serving(restored, mesh, tuple(servers)), addresses


def _build_witnessing(context: StartContext, restored: Restored, found: UnsealedNode, news: MeshNews) -> Witnessing:
    config, node_id = context.config, NodeId(context.config.node.id)
    return Witnessing(
        check=OpeningCheck(node_id, found.witnesses, build_opening_params(config), context.now()),
        keeper=MarkKeeper(found.held_marks, config.limits.max_peers),
        own=restored.openings,
        keep=news.keep_for_others,
        now=context.now,
        log=context.log,
    )


@contextlib.contextmanager
def _collecting_later() -> Iterator[None]:
    """Many chats come at once and none of them is garbage: looking for cycles among them takes longer than restoring them."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _tell_opened(context: StartContext, found: UnsealedNode) -> None:
    log = context.log
    if found.created:
        log.info("keystore_created", path=context.config.keystore_path)
        log.info("identity_created")
    log.info("keystore_unsealed", generation=found.keystore.mark.generation, incarnation=found.stored.incarnation)
    for path in find_exposed(context.config):
        log.warning("file_exposed", path=path, cure="chmod o-r; in a Kubernetes pod, defaultMode: 0440")
    if found.corrupt:
        log.error("chat_record_corrupt", count=found.corrupt)
        context.metrics.keystore.count_tamper(TamperKind.RECORD)


def _set_clock(context: StartContext, found: UnsealedNode) -> ClockPeers:
    """Go on from the time that can be believed. In doubt nothing ends by it, and every key is renewed."""
    config = context.config
    clocks = ClockPeers(
        context.now(), found.last_seen, wait_s=build_opening_params(config).opening_wait_s if config.mesh_enabled else 0.0
    )
    context.clock.set(clocks.start_s)
    return clocks


def _tell_doubt(context: StartContext, judged: ClockJudgement) -> None:
    if judged.doubt is not None:
        context.log.warning("clock_in_doubt", reason=judged.doubt.value, seconds=round(judged.off_s))
        context.metrics.keystore.count_clock_doubt(judged.doubt)


def _fail_commit(context: StartContext, error: Exception) -> None:
    """What the disk holds is unknown: the node ends, and the next start reads it."""
    kind = type(error).__name__
    context.log.error("keystore_failed", exception=kind)
    context.tasks.fail(error if isinstance(error, HermesError) else NodeError(f"{kind} in the keystore's commit"))


async def _close_unflushed(store: ChatStore) -> None:
    """For a node that failed; harmless when the store is closed already."""
    with contextlib.suppress(KeystoreError):
        await store.close(wipe=False)
