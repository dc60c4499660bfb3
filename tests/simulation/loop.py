"""An event loop whose time is virtual: it never waits, it moves on to what is due next. Processes in it can stop and die."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final

START_S: Final = 1_000.0
EPOCH_S: Final = 1_790_000_000.0
"""How far wall clocks are ahead of the loop's time."""
MAX_CALLBACKS_AT_ONCE: Final = 200_000
"""More callbacks than this without time moving on are a busy loop."""

READ_AFTER_PAUSE_S: Final = 0.05
"""After a pause, until what waited in sockets reaches the loop (measured with grpc.aio: 13 to 2,000 turns)."""


class Process:
    """What SIGSTOP and SIGKILL hit: every callback that runs in its context. `name` with the number of its start."""

    __slots__ = (
        "alive",
        "context",
        "held",
        "held_timers",
        "machine",
        "name",
        "paused",
        "pool",
        "reads_at_s",
        "started_s",
        "worker",
    )

    def __init__(self, name: str, started_s: float = START_S) -> None:
        self.name = name
        self.started_s = started_s
        self.machine = name.partition("#")[0]
        self.alive = True
        self.paused = False
        self.reads_at_s = 0.0
        self.held: list[Handle] = []
        self.held_timers: list[Handle] = []
        self.worker: Any = None
        self.pool: Any = None
        self.context = contextvars.copy_context()
        self.context.run(CURRENT.set, self)

    def __repr__(self) -> str:
        return f"Process({self.name})"


CURRENT: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Handle:
    """A callback that is due; asyncio only ever cancels it."""

    __slots__ = ("args", "callback", "cancelled_", "context", "outside", "process", "timer", "when_s")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context,
        when_s: float,
        timer: bool,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.process = context.get(CURRENT)
        self.when_s = when_s
        self.timer = timer
        self.outside = False
        self.cancelled_ = False

    def cancel(self) -> None:
        self.cancelled_ = True

    def cancelled(self) -> bool:
        return self.cancelled_

    def when(self) -> float:
        return self.when_s


class BusyLoopError(Exception):
    """Callbacks go on and on while time stands still."""


class DeadlockError(Exception):
    """Nothing is due, and the world is not at its end."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """As much of an event loop as nodes and clients use. `on_defect` is told what asyncio would log."""

    def __init__(self, run_job: Callable[[Any, Callable[[], Any]], asyncio.Future[Any]] | None = None) -> None:
        self.steps = 0
        self.defects: list[str] = []
        self._now_s = START_S
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = itertools.count()
        self._run_job = run_job

    # time and callbacks

    def time(self) -> float:
        return self._now_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context, self._now_s, False)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context, when, True)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def deliver_at(self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context) -> None:
        """Like call_at for what comes from outside a process."""
        handle = self.call_at(when, callback, *args, context=context)
        handle.timer, handle.outside = False, True

    # processes

    def pause(self, process: Process) -> None:
        process.paused = True

    def resume(self, process: Process) -> None:
        """Timers that became due come at once; what came from outside is read by gRPC's threads first, which takes a while."""
        process.paused = False
        held = process.held + sorted(process.held_timers, key=lambda handle: handle.when_s)
        process.held, process.held_timers = [], []
        process.reads_at_s = self._now_s + READ_AFTER_PAUSE_S
        for handle in held:
            if handle.outside:
                self._read_later(handle, process)
            else:
                self._ready.append(handle)

    def _read_later(self, handle: Handle, process: Process) -> None:
        heapq.heappush(self._timers, (process.reads_at_s, next(self._numbers), handle))

    def waits_in_sockets_since(self, process: Process) -> float | None:
        """When the oldest of what has come to a process, and its loop has not heard of since a pause, came."""
        waiting = [it.when_s for _, _, it in self._timers if it.outside and it.process is process and it.when_s < self._now_s]
        return min(waiting, default=None)

    def kill(self, process: Process) -> None:
        """Nothing of it runs ever again: no `finally`, no callback."""
        process.alive = False
        process.held.clear()
        process.held_timers.clear()

    # running

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Until `main` is done."""
        with self._running():
            task = self.create_task(main)
            while not task.done():
                self._turn()
            return task.result()

    @contextmanager
    def _running(self) -> Generator[None, None, None]:
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def _turn(self) -> None:
        ready, timers = self._ready, self._timers
        if not ready:
            self._move_on()
        now = self._now_s
        while timers and timers[0][0] <= now:
            ready.append(heapq.heappop(timers)[2])
        self._at_once += len(ready)
        if self._at_once > MAX_CALLBACKS_AT_ONCE:
            raise BusyLoopError(f"time stands still; the next callback: {ready[0].callback!r}")
        for _ in range(len(ready)):
            handle = ready.popleft()
            process = handle.process
            if handle.cancelled_ or (
                process is not None
                and (handle.outside or process.paused or not process.alive)
                and self._must_not_run(handle, process)
            ):
                continue
            self.steps += 1
            try:
                handle.context.run(handle.callback, *handle.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - what asyncio does with a callback's error
                self.call_exception_handler({"message": "callback", "exception": error})

    def _must_not_run(self, handle: Handle, process: Process) -> bool:
        """Not now, or never: then it is put where it waits."""
        if not process.alive:
            return True
        if process.paused:
            (process.held_timers if handle.timer else process.held).append(handle)
            return True
        if handle.outside and self._now_s < process.reads_at_s:
            self._read_later(handle, process)  # behind what waits since the pause
            return True
        return False

    _at_once = 0

    def _move_on(self) -> None:
        timers = self._timers
        while timers and timers[0][2].cancelled_:
            heapq.heappop(timers)
        if not timers:
            raise DeadlockError("nothing is due")
        self._now_s = max(self._now_s, timers[0][0])
        self._at_once = 0

    # what asyncio asks of a loop

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        if self._run_job is None:
            raise NotImplementedError
        return self._run_job(executor, lambda: func(*args))

    async def create_server(self, *_args: Any, **_settings: Any) -> Any:
        """The admin server's: nobody connects to it."""
        return _NoServer()

    async def create_unix_connection(self, protocol_factory: Any, *_: Any, sock: Any = None, **_settings: Any) -> Any:
        """Of the sockets between a node and its fronts."""
        protocol = protocol_factory()
        sock.attach(protocol)
        return sock, protocol

    def set_exception_handler(self, handler: Any) -> None:
        """A process' own is not asked: what it would be told is a defect of the world."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None and "pending" in str(context.get("message")):
            return  # a killed process' task
        self.defects.append(f"{context.get('message')}: {type(error).__name__}: {error}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def _timer_handle_cancelled(self, _handle: Any) -> None:
        pass


class _NoServer:
    """What aiohttp needs of a server that listens."""

    class _Socket:
        def getsockname(self) -> tuple[str, int]:
            return ("127.0.0.1", 1)

    sockets = (_Socket(),)

    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        pass
