"""The tasks of a node's parts: the first one that ends with an error makes the node fail."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hermes_core.errors import HermesError
from hermes_node.errors import NodeError
from hermes_node.logs.event_log import EventLog


class NodeTasks:
    """Owns every task that lives as long as its node, and the failure that ends it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._tasks: dict[asyncio.Task[None], None] = {}  # in the order of their start
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run a part; when it ends with an error the node fails."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def fail(self, error: HermesError) -> None:
        """The node cannot go on; the first failure is the one that is told."""
        if not self._failure.done():
            self._failure.set_exception(error)

    async def wait_for_failure(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; raises what made the node fail."""
        stopping = asyncio.create_task(stop.wait())
        waiting: list[asyncio.Future[Any]] = [stopping, self._failure]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what made the node fail, if anything did."""
        if self._failure.done():
            self._failure.result()

    async def cancel(self) -> None:
        """End every part; none is left when this returns."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, HermesError):
            self.fail(error)  # it says by itself what is wrong
            return
        self._log.error("unexpected_error", where=task.get_name(), exception=type(error).__name__)
        self.fail(NodeError(f"{task.get_name()}: {type(error).__name__}"))
