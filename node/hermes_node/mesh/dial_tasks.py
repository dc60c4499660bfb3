"""The tasks in which a node dials: one of a name at a time, none any more once it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hermes_node.logs.event_log import EventLog


class DialTasks:
    """`on_end` is called whenever one ended."""

    def __init__(self, log: EventLog, on_end: Callable[[], None]) -> None:
        self.closing = False
        self._log = log
        self._on_end = on_end
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._tasks

    def start(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        """Unless one of that name runs. The first word of `name` says in the log what it was for."""
        if name in self._tasks or self.closing:
            coroutine.close()
            return
        task = asyncio.create_task(coroutine, name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    async def close(self) -> None:
        """End every one."""
        self.closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(name, None)
        self._on_end()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("unexpected_error", where=name.split(maxsplit=1)[0], exception=type(error).__name__)
