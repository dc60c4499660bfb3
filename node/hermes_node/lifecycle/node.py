"""One node from start to end: owns the step that was reached, and everything that follows from reaching another one."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import assert_never

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.keystore.rotation_timer import RotationTimer
from hermes_core.protocol.session import NodeChange
from hermes_node.admin.departure import Departure, DrainCounts
from hermes_node.admin.server import AdminServer
from hermes_node.admin.view import ProcessAnswers, SealedView, ServingView
from hermes_node.clock import SteadyClock
from hermes_node.config.addresses import Address, parse_address
from hermes_node.config.core_params import build_rotation_params
from hermes_node.config.sections import Config
from hermes_node.errors import CertificateError
from hermes_node.host import Host
from hermes_node.lifecycle.ending import build_change, close_chats, end_streams, wait_until_left
from hermes_node.lifecycle.gauges import bind_chats, bind_keystore, bind_serving, show_expiry
from hermes_node.lifecycle.housekeeping import Housekeeping
from hermes_node.lifecycle.readiness import explain_unreadiness
from hermes_node.lifecycle.ready_file import write_ready_file
from hermes_node.lifecycle.rotation import rotate_keystore
from hermes_node.lifecycle.serving_view import build_serving_view
from hermes_node.lifecycle.start import StartContext, open_keystore, restore_chats, start_servers
from hermes_node.lifecycle.steps import NodeStep, Opened, Restored, SealedNode, Serving, Wiped
from hermes_node.lifecycle.tasks import NodeTasks
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.tls.files import TlsMaterial
from hermes_node.tls.setup import Certificates, Section, load_certificates
from hermes_node.version import read_version
from hermes_wire.http_server import RefusedHttp


class Node:
    """`start`, `serve` until told to stop, `stop`; or `abandon` when it failed."""

    def __init__(self, config: Config, environment: MutableMapping[str, str], log: EventLog, host: Host) -> None:
        self._config = config
        self._environment = environment
        self._log = log
        self._host = host
        self._clock = SteadyClock(host.wall, host.monotonic)
        self._now = self._clock.now
        self._metrics = NodeMetrics(version=read_version(), revision=environment.get("HERMES_REVISION", ""))
        self._tasks = NodeTasks(log)
        self._closing = AsyncExitStack()
        self._ending = asyncio.Lock()
        self._step: NodeStep = SealedNode()
        self._leaves: NodeChange | None = None
        process = ProcessAnswers(self._why_not_ready, self._metrics.exposition, self.begin_drain)
        self._admin = AdminServer(process, config.admin.token_file, log, self._refuse_admin)

    async def start(self) -> None:
        """Everything up to serving. Raises HermesError; `abandon` then closes what was opened."""
        self._log.info("node_starting", version=read_version(), pid=os.getpid())
        certificates = self._load_certificates()
        worker = ThreadPoolExecutor(1, thread_name_prefix="keystore")
        self._closing.callback(worker.shutdown)
        # Admin first: liveness has to answer while the keystore is still sealed.
        self._closing.push_async_callback(self._admin.stop)
        addresses = {"admin": await self._admin.start(parse_address(self._config.admin.listen, "admin.listen"))}
        transport = self._host.build_transport(self._config, self._metrics, self._log)
        context = StartContext(
            self._config, self._log, self._clock, self._metrics, self._host, transport, worker, self._tasks, self._closing
        )
        opened, found, clocks = await open_keystore(context, self._environment)
        self._enter(opened)
        restored = await restore_chats(context, opened, found, clocks)
        self._enter(restored)
        serving, listening = await start_servers(context, restored, found, clocks, certificates)
        self._enter(serving)
        self._go_on(serving, certificates, addresses | listening, transport.fronts)

    async def serve(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; raises what made the node fail."""
        await self._tasks.wait_for_failure(stop)

    async def stop(self) -> None:
        """Give apps drain_timeout_s to leave, then end streams, then close the keystore."""
        self.begin_drain(Departure())
        if isinstance(self._step, Serving):
            await wait_until_left(self._step.chats, self._config.cleanup.drain_timeout_s, self._now)
        self._log.info("node_stopping", sessions=self._count().sessions)
        async with self._ending:
            if isinstance(self._step, Serving):
                await self._end(self._step, SealedNode(), wipe=self._config.cleanup.wipe_on_shutdown)
        await self._closing.aclose()
        self._tasks.raise_failure()

    async def abandon(self) -> None:
        """No drain, no flush: nothing uncommitted may leave any more. Closes whatever is open."""
        async with self._ending:
            await self._tasks.cancel()
            await self._closing.aclose()

    def begin_drain(self, departure: Departure) -> DrainCounts:
        """Refuse new apps and chats, tell the connected ones to look elsewhere; harmless when repeated. What is left.

        Who was told to stay patient may be told later that the node leaves for good, and not the other way round.
        """
        if self._leaves is None or (departure.for_good and not self._leaves.for_good):
            leaves = self._leaves = build_change(departure, self._config.cleanup.drain_timeout_s)
            self._log.info("node_draining", sessions=self._count().sessions, for_good=leaves.for_good)
            if isinstance(self._step, Serving):
                self._step.chats.drain(leaves)
        return self._count()

    async def wipe(self) -> int:
        """Close every chat, erase the keystore, stop serving; the process stays to answer health checks. The sessions left."""
        async with self._ending:
            serving = self._step
            if not isinstance(serving, Serving):  # another wipe, or a stop, was first
                raise ProtocolError(ErrorCode.KEYSTORE_SEALED, self._why_not_ready()[0])
            self.begin_drain(Departure())
            await self._end(serving, Wiped(), wipe=True)
        return serving.chats.count_apps()

    def _enter(self, step: NodeStep) -> None:
        """The only place where the step changes: readiness follows it by itself, gauges and admin answers are set here."""
        self._step = step
        match step:
            case Opened(store=store):
                bind_keystore(self._metrics.keystore, store)
            case Restored(chats=chats):
                bind_chats(self._metrics.chats, chats)
            case Serving():
                bind_serving(self._metrics, step)
                self._admin.show(self._build_view(step))
                if self._leaves is not None:  # asked for during the start
                    step.chats.drain(self._leaves)
            case SealedNode() | Wiped():
                self._metrics.keystore.unbind()
                self._admin.show(SealedView(self._why_not_ready))
            case _:
                assert_never(step)

    def _build_view(self, serving: Serving) -> ServingView:
        return build_serving_view(
            serving,
            node_id=self._config.node.id,
            now=self._now,
            random=self._host.random,
            log=self._log,
            metrics=self._metrics.keystore,
            erase=self.wipe,
        )

    def _go_on(self, serving: Serving, certificates: Certificates, addresses: dict[str, Address], fronts: int) -> None:
        """What runs and is told once the node serves."""
        security = self._config.app.security
        bound = {name: str(address) for name, address in addresses.items()}
        self._log.info("node_serving", **bound, app_security=security, fronts=fronts)
        housekeeping = Housekeeping(
            why_not_ready=self._why_not_ready,
            servers=serving.servers,
            certificates=certificates,
            store=serving.restored.store,
            now=self._now,
            log=self._log,
        )
        self._tasks.spawn(housekeeping.run(), "housekeeping")
        timer = RotationTimer(build_rotation_params(self._config.keystore), self._now())
        rotation = rotate_keystore(serving.restored.store, timer, self._now, self._log)
        self._tasks.spawn(rotation, "rotation")
        self._tasks.spawn(self._metrics.loop.sample(), "loop lag")
        if self._config.node.ready_file:
            write_ready_file(Path(self._config.node.ready_file), addresses, security, fronts)

    async def _end(self, serving: Serving, after: NodeStep, *, wipe: bool) -> None:
        """In the opposite order of the start; `after` is entered before its keystore goes."""
        if wipe:
            await close_chats(serving.restored.chats)
        await end_streams(serving)
        await self._tasks.cancel()
        self._enter(after)
        serving.restored.wipe()
        await serving.restored.store.close(wipe=wipe)
        if wipe:
            self._log.info("keystore_wiped")

    def _why_not_ready(self) -> list[str]:
        return explain_unreadiness(self._step, draining=self._leaves is not None)

    def _count(self) -> DrainCounts:
        serving = self._step
        if not isinstance(serving, Serving):
            return DrainCounts(0, 0)
        return DrainCounts(serving.chats.count_apps(), serving.chats.live_chats())

    def _load_certificates(self) -> Certificates:
        certificates = load_certificates(self._config, self._certificate_changed)
        for section, tls in certificates:
            self._show_certificate(section, tls.material)
        return certificates

    def _refuse_admin(self, kind: RefusedHttp, address: str) -> None:
        self._metrics.listeners.count_admin(kind)
        self._log.info("admin_connection_refused", kind=kind.value, address=address)

    def _certificate_changed(self, section: Section, found: TlsMaterial | CertificateError) -> None:
        """Called from gRPC's threads as well; writing a line is safe there."""
        if isinstance(found, CertificateError):
            self._log.error("certificate_rejected", reason=found.detail)
        else:
            self._log.info("certificate_reloaded")
            self._show_certificate(section, found)

    def _show_certificate(self, section: Section, material: TlsMaterial) -> None:
        """Whoever meets one that is out of its time ends the connection, and this node would learn no more of it than that."""
        show_expiry(self._metrics.mesh, section, material)
        if not material.is_in_time(self._host.wall()):
            since, until = (
                dt.datetime.fromtimestamp(at, dt.UTC).isoformat() for at in (material.not_before_s, material.not_after_s)
            )
            self._log.warning("certificate_out_of_time", kind=section, since=since, until=until)
