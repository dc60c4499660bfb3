"""Run one node until it is told to stop or cannot go on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import MutableMapping

from hermes_core.errors import HermesError
from hermes_node.config.sections import Config
from hermes_node.errors import describe_failure, report_failure
from hermes_node.host import SYSTEM_HOST
from hermes_node.lifecycle.node import Node
from hermes_node.logs.event_log import EventLog, capture_library_logs


def run_node(config: Config, environment: MutableMapping[str, str]) -> int:
    """The exit code. A failure is one line on standard error, in the termination message, and one log event."""
    log = EventLog(node_id=config.node.id, level=config.log.level, format=config.log.format)
    capture_library_logs(log)
    return asyncio.run(_run(config, environment, log))


async def _run(config: Config, environment: MutableMapping[str, str], log: EventLog) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: _log_defect(log, context))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    exit_code, reason = await run_until_stopped(Node(config, environment, log, SYSTEM_HOST), stop, log)
    if reason:
        report_failure(reason)
    return exit_code


async def run_until_stopped(node: Node, stop: asyncio.Event, log: EventLog) -> tuple[int, str]:
    """Exit code, and for a node that failed the line that says why."""
    try:
        await _start(node, stop)
        if not stop.is_set():
            await node.serve(stop)
        await node.stop()
    except HermesError as error:
        exit_code, line = describe_failure(error)
        log.error("node_failed", exit_code=exit_code, reason=line)  # noqa: TRY400 - told on one line, not traced
        await node.abandon()
        return exit_code, line
    log.info("node_stopped")
    return 0, ""


async def _start(node: Node, stop: asyncio.Event) -> None:
    """Start, unless a signal comes first: a node that still unseals has nothing to drain."""
    starting = asyncio.create_task(node.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
        else:
            # The worker thread cannot be interrupted; wait for it, so that the keystore is closed properly.
            await asyncio.wait([starting])
            if starting.exception() is not None:
                await starting
    finally:
        stopping.cancel()


def _log_defect(log: EventLog, context: dict[str, object]) -> None:
    """What the loop has nobody to tell. An OSError is a fault of the machine or the network, as when no descriptor is left."""
    error = context.get("exception")
    if isinstance(error, OSError):
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        log.warning("system_fault", reason=reason, message=str(context.get("message", "")))
        return
    log.error("unexpected_error", where="event loop", exception=type(error).__name__, message=str(context.get("message", "")))
