"""The node's parts in the order they start and stop; each part lives in its own file."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc.aio

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.errors import HermesError
from hermes_core.ids import AppId, NodeId
from hermes_core.relay.router import NodeChats
from hermes_node.admin.answers import NodeAdmin
from hermes_node.admin.server import AdminServer
from hermes_node.apps.router import SERVICE, AppRouter
from hermes_node.apps.sessions import SessionTable
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.observer import ChatObserver
from hermes_node.chats.store import ChatStore
from hermes_node.clock import SteadyClock
from hermes_node.config.addresses import Address, parse_address
from hermes_node.config.core_params import build_chat_params
from hermes_node.config.sections import Config
from hermes_node.errors import CertificateError, NodeError
from hermes_node.keystore import Table
from hermes_node.keystore.identity import INCARNATION_KEY, StoredIdentity, encode_incarnation
from hermes_node.lifecycle.housekeeping import Housekeeping
from hermes_node.lifecycle.readiness import Readiness
from hermes_node.lifecycle.shutdown import Shutdown
from hermes_node.lifecycle.unseal import UnsealedNode, unseal_node
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.driver import MeshDriver
from hermes_node.mesh.seeds import JoinState
from hermes_node.mesh.setup import MeshContext, start_mesh
from hermes_node.metrics.binding import bind_metrics, set_certificate_expiry
from hermes_node.metrics.labels import KeystoreOperation, TamperKind
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.servers import Health, bind, build_app_server
from hermes_node.tls.files import ReloadingTls
from hermes_node.tls.setup import load_app_tls, load_mesh_tls
from hermes_node.version import read_version

DIRECTORY_DELAY_S: Final = 0.02
"""Apps that come and go within this time are told to the mesh at once."""


class Node:
    """One node process: `start`, `serve` until told to stop, `stop`; or `abandon` when it failed."""

    def __init__(self, config: Config, environment: MutableMapping[str, str], log: EventLog) -> None:
        self.config = config
        self.log = log
        self.clock = SteadyClock()
        self.readiness = Readiness()
        self.sessions = SessionTable(config.limits.max_sessions, self._sessions_changed)
        self.metrics = NodeMetrics(version=read_version(), revision=environment.get("HERMES_REVISION", ""))
        self.observer = ChatObserver(log, self.metrics)
        self.admin = AdminServer(NodeAdmin(self), config.admin.token_file, log)
        self.stored: StoredIdentity | None = None
        self.store: ChatStore | None = None
        self.chats: ChatDriver | None = None
        self.mesh: MeshDriver | None = None
        self.router: AppRouter | None = None
        self.servers: list[tuple[grpc.aio.Server, Health]] = []
        self.tls: dict[str, ReloadingTls] = {}
        self.restored_chats = 0
        self.corrupt_records = 0
        self._environment = environment
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="keystore")
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._addresses: dict[str, Address] = {}
        self._directory_timer: asyncio.TimerHandle | None = None
        self._shutdown = Shutdown(self)
        bind_metrics(self)

    async def start(self) -> None:
        """Everything up to serving. Raises HermesError; `abandon` then closes what was opened."""
        self.log.info("node_starting", version=read_version(), pid=os.getpid())
        for name, tls in (
            ("app", load_app_tls(self.config, self._certificate_changed)),
            ("mesh", load_mesh_tls(self.config, self._certificate_changed)),
        ):
            if tls is not None:
                self.tls[name] = tls
        set_certificate_expiry(self)
        # Admin first: liveness has to answer while the keystore is still sealed.
        self._addresses["admin"] = await self.admin.start(parse_address(self.config.admin.listen, "admin.listen"))
        unsealed = await self._unseal()
        await self._restore(unsealed)
        await self._start_mesh()
        await self._start_app_server()
        self.spawn(Housekeeping(self).run(), "housekeeping")
        self.spawn(self.metrics.loop.sample(), "loop lag")
        self._write_ready_file()

    async def serve(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; raises what made the node fail."""
        stopping = asyncio.create_task(_discard(stop.wait()))
        waiting: list[asyncio.Future[None]] = [stopping, self._failure]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if self._failure.done():
            self._failure.result()

    async def stop(self) -> None:
        """Drain, then end streams, then close the keystore."""
        await self._shutdown.drain_and_stop()
        if self._failure.done():
            self._failure.result()

    async def abandon(self) -> None:
        """Close what is open without waiting for anybody: the node failed."""
        await self._shutdown.abandon()

    def begin_drain(self) -> None:
        """Refuse new apps and chats, tell the connected ones to look elsewhere; harmless when repeated."""
        self._shutdown.begin_drain()

    async def wipe(self) -> None:
        """Close every chat, erase the keystore, stop serving; the process stays to answer health checks."""
        await self._shutdown.wipe()

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run a part; when it ends with an error the node fails."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._part_ended)

    async def cancel_parts(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close_executor(self) -> None:
        self._executor.shutdown(wait=True)

    def fail(self, error: Exception) -> None:
        """The node cannot go on."""
        if not self._failure.done():
            if not isinstance(error, HermesError):
                error = NodeError(f"{type(error).__name__} in the keystore's commit")
            self._failure.set_exception(error)

    # What the mesh tells.

    def peer_dead(self, node_id: NodeId) -> None:
        if self.chats is not None:
            self.chats.peer_dead(node_id)

    def directory_changed(self, locations: dict[AppId, NodeId]) -> None:
        if self.chats is not None:
            self.chats.update_directory(locations)

    def incarnation_raised(self, incarnation: int) -> None:
        store = self.store
        if store is not None:
            puts = {(Table.META, INCARNATION_KEY): encode_incarnation(incarnation)}
            self.spawn(_discard(store.run(lambda keystore: keystore.commit(puts))), "incarnation")

    # Parts of the start.

    async def _unseal(self) -> UnsealedNode:
        loop = asyncio.get_running_loop()
        with self.metrics.keystore.operation(KeystoreOperation.UNSEAL):
            unsealed = await loop.run_in_executor(self._executor, unseal_node, self.config, self._environment, SYSTEM_RANDOM)
        self.stored, self.corrupt_records = unsealed.stored, unsealed.corrupt
        self.store = ChatStore(unsealed.keystore, self._executor, self.metrics.keystore)
        self.store.closed_value = unsealed.closed_value
        self.readiness.unsealed = True
        if unsealed.created:
            self.log.info("keystore_created", path=self.config.keystore_path)
        self.log.info("keystore_unsealed", generation=self.store.mark.generation, incarnation=unsealed.stored.incarnation)
        if unsealed.stored.created:
            self.log.info("identity_created")
        if unsealed.corrupt:
            self.log.error("chat_record_corrupt", count=unsealed.corrupt)
            self.metrics.keystore.count_tamper(TamperKind.RECORD)
        return unsealed

    async def _restore(self, unsealed: UnsealedNode) -> None:
        """Chats back into memory in the worker thread: the loop goes on answering health checks."""
        machine = NodeChats(
            identity=unsealed.stored.identity,
            node_id=NodeId(self.config.node.id),
            params=build_chat_params(self.config),
            random=SYSTEM_RANDOM,
        )
        now = self.clock.now()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, lambda: machine.restore(unsealed.records, unsealed.tombstones, now))
        self.restored_chats = machine.live_chats()
        self.log.info("chats_restored", chats=self.restored_chats)
        self.chats = ChatDriver(
            machine=machine,
            store=unsealed_store(self),
            observer=self.observer,
            now=self.clock.now,
            log=self.log,
            on_failure=self.fail,
        )
        self.spawn(self.chats.run(), "chats")
        self.readiness.restored = True

    async def _start_mesh(self) -> None:
        tls = self.tls.get("mesh")
        if tls is None:
            self.readiness.join_state = lambda: JoinState.ALONE
            return
        stored, chats = self.stored, self.chats
        if stored is None or chats is None:
            raise NodeError("the mesh starts after the chats are restored")
        part = await start_mesh(
            MeshContext(
                self.config,
                stored.identity,
                stored.incarnation,
                tls,
                chats,
                self,
                self.clock.now,
                self.log,
                self.metrics,
                SYSTEM_RANDOM,
            )
        )
        self.mesh = part.driver
        self.servers.append((part.server, part.health))
        self._addresses["mesh"] = part.address
        self.readiness.join_state = lambda: part.driver.join_state
        self.spawn(part.run, "mesh")

    async def _start_app_server(self) -> None:
        stored, chats, mesh = self.stored, self.chats, self.mesh
        if stored is None or chats is None:
            raise NodeError("the app server starts after the chats are restored")
        self.router = AppRouter(
            config=self.config,
            node_id=NodeId(self.config.node.id),
            node_key=stored.identity.public_key,
            sessions=self.sessions,
            chats=chats,
            locate=mesh.locate if mesh is not None else lambda _: None,
            now=self.clock.now,
            log=self.log,
            metrics=self.metrics,
        )
        health = Health(SERVICE)
        server = build_app_server(health, self.config.limits, (self.metrics.grpc,))
        tls = self.tls.get("app")
        credentials = tls.server_credentials(require_client=bool(self.config.app.tls_client_ca)) if tls is not None else None
        self._addresses["app"] = bind(server, parse_address(self.config.app.listen, "app.listen"), credentials, "app.listen")
        if self.config.app.advertise:
            self._addresses["app"] = parse_address(self.config.app.advertise, "app.advertise")
        server.add_generic_rpc_handlers((self.router.handler(),))
        await server.start()
        self.servers.append((server, health))
        self.readiness.serving = True
        self.log.info("node_serving", **{name: str(address) for name, address in self._addresses.items()})

    def _write_ready_file(self) -> None:
        if not self.config.node.ready_file:
            return
        path = Path(self.config.node.ready_file)
        facts: dict[str, object] = {"app": "", "mesh": "", "admin": "", "pid": os.getpid()}
        facts.update({name: str(address) for name, address in self._addresses.items()})
        draft = path.with_name(path.name + ".tmp")
        draft.write_text(json.dumps(facts) + "\n")
        draft.replace(path)

    def _sessions_changed(self) -> None:
        """Tell the mesh soon which apps are at home here; many changes at once are told once."""
        if self._directory_timer is None and self.mesh is not None:
            self._directory_timer = asyncio.get_running_loop().call_later(DIRECTORY_DELAY_S, self._tell_directory)

    def _tell_directory(self) -> None:
        self._directory_timer = None
        if self.mesh is not None:
            self.mesh.set_local_apps(self.sessions.app_ids())

    def _certificate_changed(self, error: CertificateError | None) -> None:
        """Called from gRPC's threads as well; writing a line is safe there."""
        if error is None:
            self.log.info("certificate_reloaded")
            set_certificate_expiry(self)
        else:
            self.log.error("certificate_rejected", reason=error.detail)

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("unexpected_error", where=task.get_name(), exception=type(error).__name__)
            self.fail(error if isinstance(error, HermesError) else NodeError(f"{task.get_name()}: {type(error).__name__}"))


def unsealed_store(node: Node) -> ChatStore:
    if node.store is None:
        raise NodeError("the keystore is sealed")
    return node.store


async def _discard(work: Coroutine[Any, Any, object]) -> None:
    await work
